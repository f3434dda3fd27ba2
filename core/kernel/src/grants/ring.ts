import { randomBytes } from 'node:crypto';
import { type MetaRepository, TowlineError } from '@towline/contract';
import { createId, deriveGrantKey, type GrantKey, type GrantKeyRecord, publishGrantKeys } from '@towline/protocol';
import type { KeyRing } from '../secrets/key-ring.ts';
import { GRANT_SECRETS, openValue } from '../secrets/sealed-values.ts';

const RELAY_ID = 'relay.id';
/** Secrets a ring may have: the newest signs, the others are for devices that were away. */
const MAX_RING = 4;

/** The keys that this relay signs grants with. */
export interface GrantRing {
  /** The key that signs. */
  readonly current: GrantKey;
  /** What devices are shown, oldest first. */
  readonly published: readonly GrantKeyRecord[];
}

/** A ring of the store, and the value that it was read from. */
export interface StoredGrantRing extends GrantRing {
  readonly value: string;
}

/** The ring of secrets from the config, the newest first. */
export function configuredGrantRing(secrets: readonly string[]): GrantRing {
  return ringOf(secrets);
}

/** The ring in the store, made at the first start. @throws TowlineError as {@link KeyRing.open} does. */
export async function loadGrantRing(meta: MetaRepository, keys: KeyRing): Promise<StoredGrantRing> {
  const value = await readOrCreate(meta, GRANT_SECRETS.name, () => keys.seal(JSON.stringify([createSecret()]), GRANT_SECRETS));
  return { ...ringOf(secretsIn(value, keys)), value };
}

/** Puts a new secret before those in the store. A running relay uses it within a second. */
export async function rotateStoredSecrets(meta: MetaRepository, keys: KeyRing): Promise<GrantRing> {
  const { value } = await loadGrantRing(meta, keys);
  const next = [createSecret(), ...secretsIn(value, keys)].slice(0, MAX_RING);
  const sealed = keys.seal(JSON.stringify(next), GRANT_SECRETS);
  if (!(await meta.compareAndSet(GRANT_SECRETS.name, value, sealed))) throw new TowlineError('store_conflict');
  return ringOf(next);
}

/** Id of this relay, 32 hex digits, made at the first start. Devices sign it into their proofs. */
export async function loadRelayId(meta: MetaRepository): Promise<string> {
  return readOrCreate(meta, RELAY_ID, createId);
}

function secretsIn(value: string, keys: KeyRing): readonly string[] {
  return JSON.parse(openValue(value, GRANT_SECRETS, keys)!) as string[];
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
