import { auditCases } from './audit-cases.ts';
import { deviceCases } from './device-cases.ts';
import { keyCases } from './key-cases.ts';
import { metaCases } from './meta-cases.ts';
import { organisationCases } from './organisation-cases.ts';
import { pageCases } from './page-cases.ts';
import { registrationCases } from './registration-cases.ts';
import { revocationCases } from './revocation-cases.ts';
import { secretCases } from './secret-cases.ts';
import { sessionCases } from './session-cases.ts';
import { shareCases } from './share-cases.ts';
import { standingCases } from './standing-cases.ts';
import type { StoreCase } from './store-case.ts';
import { transferCases } from './transfer-cases.ts';
import { userCases } from './user-cases.ts';
import { wholeStoreCases } from './whole-store-cases.ts';

/** Every promise of the store contract. Needs no test runner: a case fails by an error of node:assert. */
export const storeCases: readonly StoreCase[] = Object.freeze([
  ...deviceCases,
  ...shareCases,
  ...registrationCases,
  ...keyCases,
  ...userCases,
  ...organisationCases,
  ...secretCases,
  ...standingCases,
  ...sessionCases,
  ...auditCases,
  ...revocationCases,
  ...metaCases,
  ...pageCases,
  ...transferCases,
  ...wholeStoreCases,
]);
