import type { HostPort } from '../binding/quiche.ts';
import { localAddressTowards } from './local-route.ts';
import type { DialledConnection } from './quic-client.ts';

/** How often the way to the relay is looked at, milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Silence after which another socket is tried although the way looks the same, milliseconds: a firewall may have lost its memory. */
const SILENT_MS = 4_000;

/**
 * Moves a connection to the way that packets to the relay take now, as from Wi-Fi to mobile data: at once when the
 * local address has changed, and also when the peer has fallen silent although it was asked. Ends with the connection.
 */
export function followRoute(dialled: DialledConnection, peer: HostPort): void {
  const { connection } = dialled;
  let looking = false;
  let askedMs: number | null = null;

  const look = async () => {
    const address = await localAddressTowards(peer);
    if (connection.isClosed) return;
    if (address !== null && address !== dialled.local.host) return void (await dialled.migrate());
    await tryAnotherSocket(address);
  };

  /** Something is asked for first: a peer that has nothing to say is silent as well. */
  const tryAnotherSocket = async (address: string | null) => {
    const nowMs = performance.now();
    if (nowMs - connection.lastReceivedMs < SILENT_MS) askedMs = null;
    else if (askedMs === null) {
      askedMs = nowMs;
      connection.askForLife();
    } else if (nowMs - askedMs >= SILENT_MS && address !== null) {
      askedMs = nowMs;
      await dialled.migrate();
    }
  };

  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch(() => {})
      .finally(() => {
        looking = false;
      });
  }, LOOK_EVERY_MS);
  void connection.closed.then(() => clearInterval(timer));
}
