import type { KeyObject } from 'node:crypto';
import {
  type DeviceState,
  ensureDeviceState,
  readCredentials,
  readDeviceState,
  updateCredentials,
  updateDeviceState,
} from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';
import { type DeviceId, fingerprintOf, type GrantKeyRecord, parsePrivateKey } from '@towline/protocol';

/** Who this device is: made once, independent of anything about the machine. */
export interface Identity {
  readonly deviceId: DeviceId;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
  /** `sha256:<hex>` of the public key, what the approver compares. */
  readonly fingerprint: string;
}

/** The relay a device belongs to, and how it knows it again. */
export interface Enrolment {
  /** Origin of its URL. */
  readonly url: string;
  readonly relayId: string;
  /** Name of the device at this relay. */
  readonly name: string;
  /** Keys whose grants the device accepts. */
  readonly grantKeys: readonly GrantKeyRecord[];
}

/** An API key of the device. */
export interface KeptApiKey {
  readonly text: string;
  /** Id of the key of the environment that it was renewed from: that one is worth nothing any more. */
  readonly replaces?: string | undefined;
}

/** How the certificate of a relay is believed, for one relay. */
export interface KeptTrust {
  readonly url: string;
  readonly trust: Pick<TrustSettings, 'fingerprint' | 'ca'>;
}

/** What a device keeps: its identity and enrolment in device.json, its API key in credentials.json. */
export class DeviceFiles {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** The identity; made when there is none. */
  async identity(): Promise<Identity> {
    const state = await ensureDeviceState(this.dir);
    return {
      deviceId: state.device_id,
      publicKey: state.public_key,
      privateKey: parsePrivateKey(state.private_key)!,
      fingerprint: fingerprintOf(state.public_key),
    };
  }

  /** Where the device is enrolled; null when it is not, or not proven yet. */
  async enrolment(): Promise<Enrolment | null> {
    const relay = (await readDeviceState(this.dir))?.relay;
    return relay === undefined ? null : { url: relay.url, relayId: relay.id, name: relay.name, grantKeys: relay.grant_keys };
  }

  async saveEnrolment({ url, relayId, name, grantKeys }: Enrolment): Promise<void> {
    await this.#change((state) => ({ ...state, relay: { url, id: relayId, name, grant_keys: grantKeys } }));
  }

  /** How a relay was trusted when that was last said. */
  async trust(): Promise<KeptTrust | null> {
    return readTrust(await readDeviceState(this.dir));
  }

  async saveTrust({ url, trust }: KeptTrust): Promise<void> {
    await this.#change((state) => ({ ...state, trust: { url, ...trust } }));
  }

  /** How the relay is to be reached, as it was said when the device was enrolled. Checked by whoever uses it. */
  async transport(): Promise<string | null> {
    const kept = (await readDeviceState(this.dir))?.transport;
    return typeof kept === 'string' ? kept : null;
  }

  async saveTransport(transport: string): Promise<void> {
    await this.#change((state) => ({ ...state, transport }));
  }

  /** The device's API key; null when it has none. */
  async apiKey(): Promise<KeptApiKey | null> {
    const kept: { readonly api_key: string; readonly replaces?: unknown } | undefined = (await readCredentials(this.dir))
      .device_credentials;
    if (kept === undefined) return null;
    return { text: kept.api_key, replaces: typeof kept.replaces === 'string' ? kept.replaces : undefined };
  }

  async saveApiKey({ text, replaces }: KeptApiKey): Promise<void> {
    const kept = { api_key: text, ...(replaces === undefined ? {} : { replaces }) };
    await updateCredentials(this.dir, (present) => ({ ...present, device_credentials: kept }));
  }

  /** Forgets the credential and the relay it was for. The identity stays, so that the device can be enrolled again. */
  async forgetEnrolment(): Promise<void> {
    await updateCredentials(this.dir, ({ device_credentials: _gone, ...rest }) => rest);
    await this.#change(({ relay: _relay, transport: _transport, ...rest }) => rest as DeviceState);
  }

  async #change(change: (state: DeviceState) => DeviceState): Promise<void> {
    await updateDeviceState(this.dir, change);
  }
}

function readTrust(state: DeviceState | null): KeptTrust | null {
  const kept = state?.trust;
  if (typeof kept !== 'object' || kept === null || !('url' in kept) || typeof kept.url !== 'string') return null;
  const { fingerprint, ca } = kept as { fingerprint?: unknown; ca?: unknown };
  return {
    url: kept.url,
    trust: {
      ...(typeof fingerprint === 'string' ? { fingerprint } : {}),
      ...(typeof ca === 'string' ? { ca } : {}),
    },
  };
}
