import type { Duplex } from 'node:stream';
import type { LinkUpgrade } from '@towline/contract';
import { createTlsDial, createWebSocketDial, type TlsDialHost } from '../src/dial.ts';
import { plugin } from '../src/index.ts';
import { type RelayServer, startRelay } from './relay-server.ts';

/** A host of a dialler that warns nobody. */
export const silent = { environment: {}, warn: () => undefined } satisfies TlsDialHost;

/** Diallers by the name of their transport. */
export const DIALS = Object.freeze({ tls: createTlsDial, websocket: createWebSocketDial });
/** Name of a transport of this package. */
export type TransportName = keyof typeof DIALS;

const { upgrades = [] } = plugin.create({}, {} as never);

/** The relay half's upgrade of a transport. */
export function upgradeOf(name: string): LinkUpgrade {
  return upgrades.find(({ transport }) => transport === name)!;
}

/** A relay that completes each upgrade as the plugin does, by its token, and hands over the bytes. */
export function startUpgrading(take: (duplex: Duplex) => unknown): Promise<RelayServer> {
  return startRelay(async (request, socket, head) => {
    const upgrade = upgrades.find(({ token }) => token === request.headers.upgrade?.toLowerCase())!;
    try {
      take(await upgrade.complete(request, socket, head));
    } catch {
      socket.destroy();
    }
  });
}
