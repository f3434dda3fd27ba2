import type { Link } from '@towline/contract';
import { createId } from '@towline/protocol';
import { afterEach } from 'vitest';
import type { LinkHost } from '../src/serve-link.ts';
import { createDevice, linkPair, type ServedDevice } from './device-side.ts';
import { RelaySide, type RelaySideOptions } from './relay-side.ts';

/** Id of the relay that devices of these tests are enrolled at. */
export const relayId = createId() as string;
const links: Link[] = [];
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close('link_closed')));
});

/** A device and the relay's side of its link. */
export interface Linked {
  readonly relay: RelaySide;
  readonly device: ServedDevice;
  /** Code of the error that ended serving, or `over`. */
  readonly ended: Promise<string>;
  /** Breaks the connection without a word. */
  readonly cut: () => void;
}

/** A link on which nothing was said yet. */
export async function begin(
  host: Partial<LinkHost> = {},
  options: Partial<RelaySideOptions> = {},
  device = createDevice(relayId, host),
): Promise<Linked> {
  const pair = await linkPair();
  links.push(pair.relay, pair.device);
  const ended = device.serve(pair.device);
  return { relay: new RelaySide(pair.relay, { relay: relayId, ...options }), device, ended, cut: () => pair.socket.destroy() };
}

/** A link on which the device is logged in. */
export async function online(
  host: Partial<LinkHost> = {},
  options: Partial<RelaySideOptions> = {},
  device?: ServedDevice,
): Promise<Linked> {
  const linked = await begin(host, options, device);
  await linked.relay.logIn();
  return linked;
}
