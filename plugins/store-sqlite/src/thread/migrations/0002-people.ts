import type { Migration } from './migration.ts';

/**
 * Users, organisations and shares; `shares`, `devices` and `claims` hold JSON. An organisation that was deleted stays as
 * a row. `device_share` repeats what `device.shares` says, one row for each scope, for what is looked up by scope or
 * by end; with it owner and name of the device, so that a page of shared devices is cut in an index. `api_key_scope`
 * does the same for the scopes of keys.
 */
export const people: Migration = {
  number: 2,
  name: 'people',
  apply(database) {
    database.exec(SHARES + KEYS + REGISTRATIONS + USERS + ORGANISATIONS + REVOCATIONS);
  },
};

const SHARES = `
  ALTER TABLE device ADD COLUMN shares TEXT NOT NULL DEFAULT '[]';
  CREATE TABLE device_share (
    device_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (device_id, scope)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX device_share_scope ON device_share (scope, device_id);
  CREATE INDEX device_share_scope_name ON device_share (scope, name, device_id);
  CREATE INDEX device_share_scope_owner ON device_share (scope, owner, device_id);
  CREATE INDEX device_share_until ON device_share (until) WHERE until IS NOT NULL;
`;

const KEYS = `
  ALTER TABLE api_key ADD COLUMN devices TEXT;
  ALTER TABLE api_key ADD COLUMN bounded INTEGER CHECK (bounded IN (0, 1));
  CREATE INDEX api_key_user ON api_key (user_id, id) WHERE user_id IS NOT NULL;
  CREATE TABLE api_key_scope (
    scope TEXT NOT NULL,
    key_id TEXT NOT NULL,
    PRIMARY KEY (scope, key_id)
  ) STRICT, WITHOUT ROWID;
  INSERT OR IGNORE INTO api_key_scope (scope, key_id)
    SELECT each.value ->> 'scope', api_key.id FROM api_key, json_each(api_key.scopes) AS each;
`;

const REGISTRATIONS = `
  CREATE INDEX registration_owner ON registration (owner);
`;

const USERS = `
  CREATE TABLE app_user (
    id TEXT NOT NULL PRIMARY KEY,
    label TEXT NOT NULL,
    email TEXT,
    provider TEXT NOT NULL,
    claims TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    disabled_at INTEGER,
    disabled_by TEXT,
    revision INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX app_user_email ON app_user (email, id) WHERE email IS NOT NULL;
  CREATE INDEX app_user_disabled ON app_user (id) WHERE disabled_at IS NOT NULL;
  CREATE INDEX app_user_enabled ON app_user (id) WHERE disabled_at IS NULL;
`;

const ORGANISATIONS = `
  CREATE TABLE organisation (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    deleted_at INTEGER,
    revision INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX organisation_live ON organisation (id) WHERE deleted_at IS NULL;
  CREATE TABLE membership (
    org TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    PRIMARY KEY (org, email)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX membership_email ON membership (email, org);
  CREATE INDEX membership_admin ON membership (org, email) WHERE role = 'admin';
`;

// A CHECK cannot be changed, so the table is made anew. Its counter goes along: numbers of deleted rows are not given again.
const REVOCATIONS = `
  CREATE TABLE revocation_anew (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'device', 'user', 'access', 'membership', 'org')),
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL
  ) STRICT;
  INSERT INTO revocation_anew (number, at, kind, subject, code, message)
    SELECT number, at, kind, subject, code, message FROM revocation ORDER BY number;
  DELETE FROM sqlite_sequence WHERE name = 'revocation_anew';
  INSERT INTO sqlite_sequence (name, seq) SELECT 'revocation_anew', seq FROM sqlite_sequence WHERE name = 'revocation';
  DROP TABLE revocation;
  ALTER TABLE revocation_anew RENAME TO revocation;
  CREATE INDEX revocation_at ON revocation (at);
`;
