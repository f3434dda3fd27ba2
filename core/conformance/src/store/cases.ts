export {
  ACME,
  ACME_ID,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRecords,
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
  sampleUser,
} from './samples.ts';
export type { MakeStore, StoreCase, StoreHandle } from './store-case.ts';
export { storeCases } from './store-cases.ts';
