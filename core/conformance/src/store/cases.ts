export {
  ACME,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleRecords,
  sampleRegistration,
  sampleSession,
} from './samples.ts';
export type { MakeStore, StoreCase, StoreHandle } from './store-case.ts';
export { storeCases } from './store-cases.ts';
