import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configOf, faultsOf } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const URI = 'mongodb://towline:s3cr3t-in-an-address@db.example.com/';
const SET = { env: { TOWLINE_MONGODB_URI: URI } };

function storeOf(yaml: string, start = SET, dir = scratch()) {
  const { use, options } = configOf(dir, yaml, start).store;
  return [use, options];
}

describe('the address of a MongoDB in the environment', () => {
  test.each([
    ['alone', ''],
    ['for the store by its name', 'store: mongo\n'],
    ['for the store with options', 'store: { use: mongo, database: other }\n', { database: 'other' }],
    ['over the address in the file', 'store: { use: mongo, uri: "mongodb://elsewhere/" }\n'],
    ['where the file names the variable', `store: { use: mongo, uri: "\${TOWLINE_MONGODB_URI}" }\n`],
  ] as [string, string, object?][])('%s is that of the store', (_, yaml, more = {}) => {
    expect(storeOf(yaml)).toEqual(['mongo', { ...more, uri: URI }]);
  });

  test('is read from a file, also where the config names the variable', () => {
    const dir = scratch();
    const env = { TOWLINE_MONGODB_URI_FILE: put(join(dir, 'uri'), `${URI}\n`) };
    for (const yaml of ['', 'store: mongo\n', `store: { use: mongo, uri: "\${TOWLINE_MONGODB_URI}" }\n`])
      expect(storeOf(yaml, { env } as never, dir)).toEqual(['mongo', { uri: URI }]);
  });

  test.each(['store: sqlite\n', 'store: { use: sqlite, path: x.db }\n', 'store: acme\n'])('beside %j is refused', (yaml) => {
    const faults = faultsOf(scratch(), yaml, SET);
    expect(faults).toEqual([
      expect.stringContaining('environment: TOWLINE_MONGODB_URI: expected store: mongo beside it, or the variable unset'),
    ]);
    expect(faults.join()).not.toContain('s3cr3t');
  });

  test.each([
    [{ TOWLINE_MONGODB_URI: '' }, 'environment: TOWLINE_MONGODB_URI: expected a value'],
    [{ TOWLINE_MONGODB_URI_FILE: '/nowhere' }, 'environment: TOWLINE_MONGODB_URI_FILE: expected the path of a readable file'],
    [{ TOWLINE_MONGODB_URI: URI, TOWLINE_MONGODB_URI_FILE: '/nowhere' }, 'environment: TOWLINE_MONGODB_URI_FILE: expected either'],
  ])('%j has a fault under its own name', (env, expected) => {
    const faults = faultsOf(scratch(), 'store: mongo\n', { env });
    expect(faults).toEqual([expect.stringContaining(expected)]);
    expect(faults.join()).not.toContain('s3cr3t');
  });

  test('that is not set leaves the store of the file, and SQLite without one', () => {
    expect(storeOf('', {} as never)).toEqual(['sqlite', {}]);
    expect(storeOf('store: sqlite\n', {} as never)).toEqual(['sqlite', {}]);
    expect(storeOf(`store: { use: mongo, uri: "${URI}" }\n`, {} as never)).toEqual(['mongo', { uri: URI }]);
  });
});
