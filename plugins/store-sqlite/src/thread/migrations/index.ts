import { firstTables } from './0001-first-tables.ts';
import { people } from './0002-people.ts';
import { secrets } from './0003-secrets.ts';
import type { Migration } from './migration.ts';

/** All steps in order. */
export const MIGRATIONS: readonly Migration[] = Object.freeze([firstTables, people, secrets]);
