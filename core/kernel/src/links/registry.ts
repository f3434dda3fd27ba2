import type { Device, Link } from '@towline/contract';
import type { DeviceId, ErrorCode, RelayToDevice } from '@towline/protocol';

/** What the links of one runtime share of which each took over from the one before. */
export interface DeviceLine {
  /** When the first of them took its place, Unix milliseconds. */
  readonly begunAt: number;
  /** Ids of the API keys that they linked with, or that came by rotation: when one is revoked, all of them end. */
  readonly keyIds: Set<string>;
}

/** A device's live connection, after it proved who it is. */
export interface DeviceLink {
  readonly device: Device;
  /** Id of the API key it linked with; empty for another credential. */
  readonly keyId: string;
  readonly link: Link;
  readonly transport: string;
  /** Why it came by this transport, as the device says. */
  readonly transportNote?: string;
  readonly address: string;
  /** Unix time, milliseconds. */
  readonly since: number;
  /** Random per start of the runtime. */
  readonly instance: string;
  readonly hostname: string;
  /** Protocols the device said it serves. */
  readonly serves: readonly string[];
  /** What it said it can do that earlier versions could not. */
  readonly features: readonly string[];
  /** Nonce of this link, which grants name. */
  readonly nonce: string;
  /** False until the device was welcomed: it knows neither the relay's time nor its grant keys before. */
  ready: boolean;
  /** Its own, until it takes over from another link. */
  line: DeviceLine;
  /** Unix time as this link counts it: from the welcome on by the monotonic clock, as the device does. Milliseconds. */
  timeMs(): number;
  send(message: RelayToDevice): void;
  /** Tells the device why, then closes the link. */
  dismiss(code: ErrorCode, message: string): Promise<void>;
}

/** What became of the links that a device had when another took its place. */
export interface Replaced {
  /** The one that stays until its streams are over. */
  readonly retiring: DeviceLink | null;
  /** Those that must end now; the present one first. */
  readonly dismissed: readonly DeviceLink[];
}

/** Which device is on which link of this relay. */
export interface DeviceRegistry {
  /** Takes note of a link that has proved itself and has no place yet: what ends all links of a device ends it too. */
  admit(link: DeviceLink): void;
  /**
   * Puts a link in the place of the device's present one, in one step. With `beside` one older link of the same
   * runtime stays: the newest that has streams. All others are taken out.
   */
  replace(next: DeviceLink, beside: boolean): Replaced;
  /**
   * Takes a link out, unless another is in its place already: a late close never unregisters a newer link. When the present
   * one goes while an older one is there still, that one is the device's link again.
   */
  remove(link: DeviceLink): void;
  /** The device's link for all that is opened from now on, once it was welcomed. */
  get(id: DeviceId): DeviceLink | null;
  /** That link and the one that only stays for its streams. */
  linksOf(id: DeviceId): readonly DeviceLink[];
  isRetiring(link: DeviceLink): boolean;
  /** Every link there is, those without a place and those that retire included. */
  all(): DeviceLink[];
}

/** Makes an empty registry. */
export function createDeviceRegistry(): DeviceRegistry {
  const links = new Map<DeviceId, DeviceLink>();
  const retiring = new Map<DeviceId, DeviceLink>();
  const admitted = new Set<DeviceLink>();
  const linksOf = (id: DeviceId) => [links.get(id), retiring.get(id)].filter((link) => link !== undefined);
  return {
    admit: (link) => void admitted.add(link),
    replace(next, beside) {
      const { id } = next.device;
      const held = linksOf(id);
      const stays = beside ? chooseStaying(held, next) : null;
      admitted.delete(next);
      links.set(id, next);
      if (stays === null) retiring.delete(id);
      else retiring.set(id, stays);
      return { retiring: stays, dismissed: held.filter((link) => link !== stays) };
    },
    remove(link) {
      const { id } = link.device;
      admitted.delete(link);
      const older = retiring.get(id);
      if (older === link) retiring.delete(id);
      if (links.get(id) !== link) return;
      retiring.delete(id);
      if (older === undefined) links.delete(id);
      else links.set(id, older);
    },
    get: (id) => links.get(id) ?? null,
    linksOf,
    isRetiring: (link) => retiring.get(link.device.id) === link,
    all: () => [...links.values(), ...retiring.values(), ...admitted],
  };
}

/** Whether streams are open on a link besides its control stream. */
export function isInUse({ link }: DeviceLink): boolean {
  return link.stats.openStreams > 1;
}

function chooseStaying(held: readonly DeviceLink[], next: DeviceLink): DeviceLink | null {
  const own = held.filter((link) => link.instance === next.instance);
  return own.find(isInUse) ?? own[0] ?? null;
}
