import { type DeviceRelay, readDeviceState } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';

/** This machine as a device of a relay. */
export interface ThisDevice {
  readonly relay: DeviceRelay;
  /** How the runtime trusts that relay. */
  readonly trust: TrustSettings;
}

/** What the runtime of this folder is enrolled as; null when it is not, or when its file cannot be read. */
export async function readThisDevice(dir: string): Promise<ThisDevice | null> {
  // The check of permissions says what is wrong with the file.
  const state = await readDeviceState(dir).catch((error: unknown) => {
    if (isTowlineError(error) || (error as NodeJS.ErrnoException).code !== undefined) return null;
    throw error;
  });
  if (state?.relay === undefined) return null;
  return { relay: state.relay, trust: trustOf(state.trust, state.relay.url) };
}

/** What the runtime keeps beside the relay: the trust in one relay, by its origin. */
function trustOf(kept: unknown, url: string): TrustSettings {
  if (typeof kept !== 'object' || kept === null) return {};
  const { url: origin, fingerprint, ca } = kept as Readonly<Record<string, unknown>>;
  if (origin !== url) return {};
  return { ...(typeof fingerprint === 'string' ? { fingerprint } : {}), ...(typeof ca === 'string' ? { ca } : {}) };
}
