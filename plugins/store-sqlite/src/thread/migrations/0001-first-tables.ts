import type { Migration } from './migration.ts';

/**
 * Times are Unix milliseconds; `facts`, `scopes`, `streams`, `actor`, `detail` and `record` hold JSON. No foreign keys
 * between devices, keys, sessions and records: the keys and records of a removed device stay.
 */
export const firstTables: Migration = {
  number: 1,
  name: 'first tables',
  apply(database) {
    database.exec(DEVICES + REGISTRATIONS + KEYS + SESSIONS + AUDIT + REVOCATIONS + META);
  },
};

const DEVICES = `
  CREATE TABLE device (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    facts TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    enrolled_by TEXT NOT NULL,
    last_seen_at INTEGER,
    last_address TEXT,
    revision INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX device_owner ON device (owner, id);
  CREATE INDEX device_name ON device (name, id);
  CREATE INDEX device_owner_name ON device (owner, name, id);
`;

const REGISTRATIONS = `
  CREATE TABLE registration (
    id TEXT NOT NULL PRIMARY KEY,
    device_id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    facts TEXT NOT NULL,
    address TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    reason TEXT,
    revision INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX registration_device ON registration (device_id, created_at);
  CREATE INDEX registration_expiry ON registration (expires_at);
  CREATE INDEX registration_pending ON registration (created_at, id) WHERE state = 'pending';
  CREATE INDEX registration_pending_owner ON registration (owner, created_at, id) WHERE state = 'pending';
  CREATE INDEX registration_pending_address ON registration (address) WHERE state = 'pending';
`;

const KEYS = `
  CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'device', 'enrolment')),
    hash TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    user_id TEXT,
    email TEXT,
    admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
    scopes TEXT NOT NULL,
    streams TEXT,
    device_id TEXT,
    remaining INTEGER CHECK (remaining >= 0),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    revoked_reason TEXT,
    revision INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX api_key_owner ON api_key (owner, kind, id);
  CREATE INDEX api_key_kind ON api_key (kind, id);
  CREATE INDEX api_key_device ON api_key (device_id, id) WHERE device_id IS NOT NULL;
`;

const SESSIONS = `
  CREATE TABLE open_session (
    id TEXT NOT NULL PRIMARY KEY,
    device_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    protocol TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    device_name TEXT NOT NULL
  ) STRICT;
  CREATE INDEX open_session_owner ON open_session (owner, id);
  CREATE INDEX open_session_device ON open_session (device_id, id);
`;

// The record is kept whole, letter for letter, so that its hash can be checked; the other columns are what is asked for.
const AUDIT = `
  CREATE TABLE audit (
    number INTEGER NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    high_at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_email TEXT,
    device_id TEXT,
    session TEXT,
    owner TEXT,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_high_at ON audit (high_at, number);
  CREATE INDEX audit_late ON audit (at, number) WHERE at < high_at;
  CREATE INDEX audit_action ON audit (action, number);
  CREATE INDEX audit_actor_id ON audit (actor_id, number);
  CREATE INDEX audit_actor_email ON audit (actor_email, number) WHERE actor_email IS NOT NULL;
  CREATE INDEX audit_device ON audit (device_id, number) WHERE device_id IS NOT NULL;
  CREATE INDEX audit_session ON audit (session, number) WHERE session IS NOT NULL;
  CREATE INDEX audit_owner ON audit (owner, number) WHERE owner IS NOT NULL;
  CREATE INDEX audit_owner_action ON audit (owner, action, number) WHERE owner IS NOT NULL;
`;

// AUTOINCREMENT: a number is never given twice, also after the last ones are deleted.
const REVOCATIONS = `
  CREATE TABLE revocation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'device')),
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL
  ) STRICT;
  CREATE INDEX revocation_at ON revocation (at);
`;

const META = `
  CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT;
`;
