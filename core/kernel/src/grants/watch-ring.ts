import type { MetaRepository } from '@towline/contract';
import type { DeviceRegistry } from '../links/registry.ts';
import { type GrantRing, loadGrantRing } from './ring.ts';

/** The ring in use. */
export interface GrantRingHolder {
  readonly ring: GrantRing;
  /** Reads the ring of the store anew; when it was rotated, linked devices are shown the new keys before one is used. */
  look(): Promise<void>;
}

/** Loads the ring and follows its rotation by the rescue command. */
export async function openGrantRing(
  meta: MetaRepository,
  configured: readonly string[],
  registry: DeviceRegistry,
): Promise<GrantRingHolder> {
  let ring = await loadGrantRing(meta, configured);
  return {
    get ring() {
      return ring;
    },
    async look() {
      if (configured.length > 0) return;
      const next = await loadGrantRing(meta, []);
      if (next.current.id === ring.current.id) return;
      for (const device of registry.all()) if (device.ready) device.send({ type: 'grant_keys', grant_keys: [...next.published] });
      ring = next;
    },
  };
}
