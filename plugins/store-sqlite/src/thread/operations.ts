import { auditReads, auditWrites } from './audit-trail.ts';
import { deviceReads, deviceWrites } from './devices.ts';
import { healthReads, healthWrites } from './health.ts';
import { keyReads, keyWrites } from './keys.ts';
import { metaReads, metaWrites } from './meta.ts';
import { organisationReads, organisationWrites } from './organisations.ts';
import { registrationReads, registrationWrites } from './registrations.ts';
import { revocationReads, revocationWrites } from './revocations.ts';
import { scrubWrites } from './scrub.ts';
import { secretReads, secretWrites } from './secrets.ts';
import { sessionReads, sessionWrites } from './sessions.ts';
import { standingReads } from './standing.ts';
import type { Statements } from './statements.ts';
import { userReads, userWrites } from './users.ts';

/** Everything the reading thread can do. */
export function readOperations(statements: Statements, path: string) {
  return {
    ...deviceReads(statements),
    ...registrationReads(statements),
    ...keyReads(statements),
    ...userReads(statements),
    ...organisationReads(statements),
    ...secretReads(statements),
    ...sessionReads(statements),
    ...auditReads(statements),
    ...revocationReads(statements),
    ...metaReads(statements),
    ...standingReads(statements),
    ...healthReads(path),
  };
}

/** Everything the writing thread can do. */
export function writeOperations(statements: Statements) {
  return {
    ...deviceWrites(statements),
    ...registrationWrites(statements),
    ...keyWrites(statements),
    ...userWrites(statements),
    ...organisationWrites(statements),
    ...secretWrites(statements),
    ...sessionWrites(statements),
    ...auditWrites(statements),
    ...revocationWrites(statements),
    ...metaWrites(statements),
    ...scrubWrites(statements),
    ...healthWrites(statements),
  };
}

/** Reads by name. */
export type ReadOperations = ReturnType<typeof readOperations>;
/** Writes by name. */
export type WriteOperations = ReturnType<typeof writeOperations>;
