import type { Device, Link } from '@towline/contract';
import type { DeviceId, ErrorCode, RelayToDevice } from '@towline/protocol';

/** A device's live connection, after it proved who it is. */
export interface DeviceLink {
  readonly device: Device;
  /** Id of the API key it linked with; changes when the key is rotated. */
  keyId: string;
  readonly link: Link;
  readonly transport: string;
  readonly address: string;
  /** Unix time, milliseconds. */
  readonly since: number;
  /** Random per start of the runtime. */
  readonly instance: string;
  readonly hostname: string;
  /** Protocols the device said it serves. */
  readonly serves: readonly string[];
  /** Nonce of this link, which grants name. */
  readonly nonce: string;
  /** False until the device was welcomed: it knows neither the relay's time nor its grant keys before. */
  ready: boolean;
  /** Unix time as this link counts it: from the welcome on by the monotonic clock, as the device does. Milliseconds. */
  timeMs(): number;
  send(message: RelayToDevice): void;
  /** Tells the device why, then closes the link. */
  dismiss(code: ErrorCode, message: string): Promise<void>;
}

/** Which device is on which link of this relay. */
export interface DeviceRegistry {
  /** Takes note of a link that has proved itself and has no place yet: what ends all links of a device ends it too. */
  admit(link: DeviceLink): void;
  /** Puts a link in the place of the device's present one, in one step, and answers that one. */
  replace(next: DeviceLink): DeviceLink | null;
  /** Takes a link out, unless another is in its place already: a late close never unregisters a newer link. */
  remove(link: DeviceLink): boolean;
  /** The device's link, once it was welcomed. */
  get(id: DeviceId): DeviceLink | null;
  all(): DeviceLink[];
}

/** Makes an empty registry. */
export function createDeviceRegistry(): DeviceRegistry {
  const links = new Map<DeviceId, DeviceLink>();
  const admitted = new Set<DeviceLink>();
  return {
    admit: (link) => void admitted.add(link),
    replace(next) {
      admitted.delete(next);
      const previous = links.get(next.device.id) ?? null;
      links.set(next.device.id, next);
      return previous;
    },
    remove(link) {
      admitted.delete(link);
      return links.get(link.device.id) === link && links.delete(link.device.id);
    },
    get: (id) => links.get(id) ?? null,
    all: () => [...links.values(), ...admitted],
  };
}
