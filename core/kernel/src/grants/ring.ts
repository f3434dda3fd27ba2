import { randomBytes } from 'node:crypto';
import { type MetaRepository, TowlineError } from '@towline/contract';
import { createId, deriveGrantKey, type GrantKey, type GrantKeyRecord, publishGrantKeys } from '@towline/protocol';

const RELAY_ID = 'relay.id';
const SECRETS = 'grant.secrets';
/** Secrets a ring may have: the newest signs, the others are for devices that were away. */
const MAX_RING = 4;

/** The keys that this relay signs grants with. */
export interface GrantRing {
  /** The key that signs. */
  readonly current: GrantKey;
  /** What devices are shown, oldest first. */
  readonly published: readonly GrantKeyRecord[];
}

/** The ring of the config's secrets (newest first), else of those in the store, made at the first start. */
export async function loadGrantRing(meta: MetaRepository, configured: readonly string[]): Promise<GrantRing> {
  return ringOf(configured.length > 0 ? configured : await storedSecrets(meta));
}

/** Puts a new secret before those in the store. The relay uses it from its next start. */
export async function rotateStoredSecrets(meta: MetaRepository): Promise<GrantRing> {
  const held = await storedSecrets(meta);
  const next = [createSecret(), ...held].slice(0, MAX_RING);
  if (!(await meta.compareAndSet(SECRETS, JSON.stringify(held), JSON.stringify(next)))) throw new TowlineError('store_conflict');
  return ringOf(next);
}

/** Id of this relay, 32 hex digits, made at the first start. Devices sign it into their proofs. */
export async function loadRelayId(meta: MetaRepository): Promise<string> {
  return readOrCreate(meta, RELAY_ID, createId);
}

async function storedSecrets(meta: MetaRepository): Promise<readonly string[]> {
  return JSON.parse(await readOrCreate(meta, SECRETS, () => JSON.stringify([createSecret()]))) as string[];
}

async function readOrCreate(meta: MetaRepository, name: string, create: () => string): Promise<string> {
  const present = await meta.get(name);
  if (present !== null) return present;
  const value = create();
  if (await meta.compareAndSet(name, null, value)) return value;
  const theirs = await meta.get(name);
  if (theirs === null) throw new TowlineError('store_failed', `The store lost the value ${name}.`);
  return theirs;
}

function ringOf(secrets: readonly string[]): GrantRing {
  const keys = secrets.map((secret) => deriveGrantKey(secret));
  return { current: keys[0]!, published: publishGrantKeys(keys) };
}

function createSecret(): string {
  return randomBytes(32).toString('base64url');
}
