import type { Migration } from './migration.ts';

/**
 * Secrets of users, encrypted. Rows are as large as their values, so the table keeps its row ids and the key is an index
 * beside it. `secret_key` is for what is still encrypted with an earlier key.
 */
export const secrets: Migration = {
  number: 3,
  name: 'secrets',
  apply(database) {
    database.exec(SECRETS);
  },
};

const SECRETS = `
  CREATE TABLE secret (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
  ) STRICT;
  CREATE INDEX secret_key ON secret (key_id);
`;
