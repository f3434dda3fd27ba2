import SQLite, { type Database } from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrate } from '../src/thread/migrate.ts';
import { MIGRATIONS } from '../src/thread/migrations/index.ts';
import type { Migration } from '../src/thread/migrations/migration.ts';

let database: Database;

beforeEach(() => {
  database = new SQLite(':memory:');
});
afterEach(() => {
  database.close();
});

const step = (number: number, sql: string): Migration => ({ number, name: `step ${number}`, apply: (target) => target.exec(sql) });
const ONE = step(1, 'CREATE TABLE one (x)');
const TWO = step(2, 'CREATE TABLE two (x); INSERT INTO one VALUES (2)');
const BROKEN = step(3, 'CREATE TABLE three (x); INSERT INTO nowhere VALUES (3)');
const applied = () => database.prepare('SELECT number, name, applied_at FROM schema_migration ORDER BY number').raw().all();
const tables = () => database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).pluck().all();

it('numbers the steps from one without gaps', () => {
  expect(MIGRATIONS.map(({ number }) => number)).toEqual(MIGRATIONS.map((_, n) => n + 1));
});

it('applies the steps that are missing and notes each with its time', () => {
  migrate(database, { migrations: [ONE], now: 10 });
  migrate(database, { migrations: [ONE, TWO], now: 20 });
  migrate(database, { migrations: [ONE, TWO], now: 30 });
  expect(applied()).toEqual([
    [1, 'step 1', 10],
    [2, 'step 2', 20],
  ]);
  expect(database.prepare('SELECT x FROM one').pluck().all()).toEqual([2]);
});

it('applies all missing steps or none', () => {
  migrate(database, { migrations: [ONE], now: 10 });
  expect(() => migrate(database, { migrations: [ONE, TWO, BROKEN], now: 20 })).toThrow('nowhere');
  expect(applied()).toEqual([[1, 'step 1', 10]]);
  expect(tables()).toEqual(['one', 'schema_migration']);
});

it('leaves nothing in an empty file when the first step fails', () => {
  expect(() => migrate(database, { migrations: [BROKEN], now: 10 })).toThrow('nowhere');
  expect(tables()).toEqual([]);
  expect(database.pragma('application_id', { simple: true })).toBe(0);
});

it('refuses a newer schema and changes nothing', () => {
  migrate(database, { migrations: [ONE, TWO], now: 10 });
  expect(() => migrate(database, { migrations: [ONE], now: 20 })).toThrow(expect.objectContaining({ code: 'store_schema' }));
  expect(applied()).toHaveLength(2);
});
