import { isTowlineError, type Log, type MetaRepository } from '@towline/contract';
import type { ErrorCode } from '@towline/protocol';
import type { DeviceRegistry } from '../links/registry.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { GRANT_SECRETS } from '../secrets/sealed-values.ts';
import { configuredGrantRing, type GrantRing, loadGrantRing } from './ring.ts';

/** Errors that do not pass by themselves. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['secret_key_missing', 'secret_key_wrong', 'secret_damaged']);

/** What a ring is opened from. */
export interface GrantRingParts {
  readonly meta: MetaRepository;
  /** Secrets of the config, the newest first. Empty: those of the store. */
  readonly configured: readonly string[];
  /** Opens those of the store. */
  readonly keys: KeyRing;
  readonly registry: DeviceRegistry;
  readonly log: Log;
}

/** The ring in use. */
export interface GrantRingHolder {
  readonly ring: GrantRing;
  /** Reads the ring of the store anew; when it was rotated, linked devices are shown the new keys before one is used. */
  look(): Promise<void>;
}

/** Loads the ring and follows its rotation by the rescue command. */
export async function openGrantRing({ meta, configured, keys, registry, log }: GrantRingParts): Promise<GrantRingHolder> {
  if (configured.length > 0) return { ring: configuredGrantRing(configured), look: async () => {} };
  const stored = await loadGrantRing(meta, keys);
  let ring: GrantRing = stored;
  let seen: string | null = stored.value;
  return {
    get ring() {
      return ring;
    },
    async look() {
      const value = await meta.get(GRANT_SECRETS.name);
      if (value === seen) return;
      const next = await loadGrantRing(meta, keys).catch((error: unknown) => {
        if (!isTowlineError(error) || !UNREADABLE.has(error.code)) throw error;
        log.error('the grant secrets in the store cannot be read; those known stay in use until the relay is started again', { error });
        return null;
      });
      // What cannot be opened is told once for each value, and the ring in use stays good.
      seen = next === null ? value : next.value;
      if (next === null || next.current.id === ring.current.id) return;
      for (const device of registry.all()) if (device.ready) device.send({ type: 'grant_keys', grant_keys: [...next.published] });
      ring = next;
    },
  };
}
