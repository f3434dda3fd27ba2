import { createRequire } from 'node:module';
import type { PluginLife, Standing, StandingQuery, Store, StoreRecord } from '@towline/contract';
import { type Scope, TowlineError } from '@towline/protocol';
import type { CommandStartedEvent, Db, DbOptions, MongoClient, MongoClientOptions } from 'mongodb';
import { auditRepository } from './audit.ts';
import { type Database, databaseOf } from './database.ts';
import { deviceRepository } from './devices.ts';
import { type Guard, guarded, toStartError, under } from './fault.ts';
import { keyRepository } from './keys.ts';
import { ANSWER_MS, HEARTBEAT_MS, MAJORITY_MS, MAX_CONNECTIONS, PING_MS, SERVER_SELECTION_MS } from './limits.ts';
import { followLiveness, type Liveness } from './liveness.ts';
import { metaRepository } from './meta.ts';
import { organisationRepository } from './organisations.ts';
import { settleAll } from './outbox.ts';
import { registrationRepository } from './registrations.ts';
import { revocationRepository } from './revocations.ts';
import { prepare, type SchemaChange } from './schema.ts';
import { secretRepository } from './secrets.ts';
import { sessionRepository } from './sessions.ts';
import { standingReads } from './standing.ts';
import { exportRecords, importRecords } from './transfer.ts';
import { userRepository } from './users.ts';
import { within } from './within.ts';

/** What was acknowledged is on the disks of a majority; what is read was acknowledged by one. Set for the database, for there an address with other wishes does not count. */
const CONCERNS = {
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: MAJORITY_MS },
  readConcern: { level: 'majority' },
  readPreference: 'primary',
} as DbOptions;

/** Writes are repeated only where the server can tell that they are. */
const SETTINGS: MongoClientOptions = {
  appName: 'towline-relay',
  retryWrites: true,
  heartbeatFrequencyMS: HEARTBEAT_MS,
  serverSelectionTimeoutMS: SERVER_SELECTION_MS,
  connectTimeoutMS: SERVER_SELECTION_MS,
  socketTimeoutMS: ANSWER_MS,
  waitQueueTimeoutMS: ANSWER_MS,
  maxPoolSize: MAX_CONNECTIONS,
  ignoreUndefined: true,
};

type Repositories = Omit<Store, 'ping' | 'export' | 'import'>;

/** A store in a database that speaks MongoDB's protocol. Needs no transactions, change streams, TTL or partial indexes of it. */
export class MongoStore implements Store, PluginLife {
  readonly #client: MongoClient;
  readonly #db: Db;
  readonly #database: Database;
  readonly #repositories: Repositories;
  readonly #liveness: Liveness;
  readonly #guard: Guard;
  #state: 'new' | 'starting' | 'open' | 'closed' = 'new';
  #schema: SchemaChange | undefined;

  /**
   * Does no I/O but loading the driver. `name` is that of the database; `onCommand` is told of each command that is sent, for tests.
   * @throws TowlineError `store_failed` for an address that cannot be read.
   */
  constructor(uri: string, name: string, onCommand?: (event: CommandStartedEvent) => void) {
    this.#client = clientOf(uri, { ...SETTINGS, monitorCommands: onCommand !== undefined });
    if (onCommand) this.#client.on('commandStarted', onCommand);
    this.#db = this.#client.db(name, CONCERNS);
    this.#database = databaseOf(this.#db);
    this.#liveness = followLiveness(this.#client);
    this.#guard = { check: () => this.#checkOpen(), liveness: this.#liveness };
    this.#repositories = repositoriesOf(this.#database, this.#guard);
  }

  /** Numbers of the schema before the start and since. */
  get schema(): SchemaChange | undefined {
    return this.#schema;
  }
  get devices() {
    return this.#repositories.devices;
  }
  get registrations() {
    return this.#repositories.registrations;
  }
  get keys() {
    return this.#repositories.keys;
  }
  get users() {
    return this.#repositories.users;
  }
  get organisations() {
    return this.#repositories.organisations;
  }
  get secrets() {
    return this.#repositories.secrets;
  }
  get sessions() {
    return this.#repositories.sessions;
  }
  get audit() {
    return this.#repositories.audit;
  }
  get revocations() {
    return this.#repositories.revocations;
  }
  get meta() {
    return this.#repositories.meta;
  }

  /**
   * Connects, makes what is missing of collections and indexes, and ends what a crash left half done.
   * @throws TowlineError `store_failed`, `store_schema`, `data_in_use`.
   */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'new') throw new TowlineError('store_failed', 'The store was started or closed before.');
    this.#state = 'starting';
    try {
      signal.throwIfAborted();
      await this.#requireWritable();
      this.#schema = await prepare(this.#database, signal);
      await settleAll(this.#database);
      this.#state = 'open';
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw signal.aborted ? error : toStartError(error);
    }
  }

  /** What counts for a user now. */
  async standing(query: StandingQuery): Promise<Standing> {
    return this.#repositories.standing(query);
  }

  /** Whether anything names the scope. */
  async isScopeUsed(scope: Scope): Promise<boolean> {
    return this.#repositories.isScopeUsed(scope);
  }

  /** Every object, kind by kind, each kind in the order of its ids. */
  export(signal: AbortSignal): AsyncIterable<StoreRecord> {
    this.#checkOpen();
    return exportRecords(this.#database, signal);
  }

  /** Fills an empty store. @throws TowlineError `conflict`, `invalid_request`, `store_failed`. */
  async import(records: AsyncIterable<StoreRecord>, signal: AbortSignal): Promise<void> {
    this.#checkOpen();
    await importRecords(this.#database, records, signal);
  }

  /** Resolves when a server that takes writes answers. */
  async ping(): Promise<void> {
    this.#checkOpen();
    await under(this.#guard, () => within(PING_MS, this.#requireWritable()));
  }

  /** Ends the connections. Calls that wait are rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closed';
    await this.#liveness[Symbol.asyncDispose]();
    await this.#client.close().catch(() => undefined);
  }

  /** A server that is up may be one that takes no writes. */
  async #requireWritable(): Promise<void> {
    const { isWritablePrimary, ismaster } = await this.#db.command({ hello: 1 });
    if (!(isWritablePrimary ?? ismaster)) throw new TowlineError('store_failed', undefined, { detail: 'the server takes no writes' });
  }

  /** The driver would connect by itself, also after it was closed. */
  #checkOpen(): void {
    if (this.#state !== 'open') throw new TowlineError('store_failed', 'The store is not open.');
  }
}

/** What the driver says of an address that it cannot read may quote it, with the password in it. */
function clientOf(uri: string, settings: MongoClientOptions): MongoClient {
  // Only a relay that uses it pays for loading the driver.
  const driver = createRequire(import.meta.url)('mongodb') as typeof import('mongodb');
  try {
    return new driver.MongoClient(uri, settings);
  } catch {
    throw new TowlineError('store_failed', 'The address of the database cannot be read.', {
      hint: 'Check `uri` of the store, or TOWLINE_MONGODB_URI. Special characters in the password are written as %XX.',
    });
  }
}

function repositoriesOf(database: Database, guard: Guard): Repositories {
  return {
    devices: guarded(deviceRepository(database), guard),
    registrations: guarded(registrationRepository(database), guard),
    keys: guarded(keyRepository(database), guard),
    users: guarded(userRepository(database), guard),
    organisations: guarded(organisationRepository(database), guard),
    secrets: guarded(secretRepository(database), guard),
    sessions: guarded(sessionRepository(database), guard),
    audit: guarded(auditRepository(database), guard),
    revocations: guarded(revocationRepository(database), guard),
    meta: guarded(metaRepository(database), guard),
    ...guarded(standingReads(database), guard),
  };
}
