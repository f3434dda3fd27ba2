import type { HostPort } from '../binding/quiche.ts';
import { localAddressTowards } from './local-route.ts';
import type { DialledConnection } from './quic-client.ts';

/** How often the way to the relay is looked at, milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Silence after which the peer is asked, and so long again after which another socket is tried, milliseconds: a firewall may have lost its memory. */
const SILENT_MS = 4_000;
/**
 * Silence in the middle of a transfer, milliseconds. What is asked shows a relay that sends into the void where this end
 * is now: a router that has forgotten its translation gives it another port.
 */
const SILENT_IN_TRANSFER_MS = 1_000;
/** A transfer: so many bytes came between two looks, this long ago at most, milliseconds. */
const TRANSFER_BYTES = 65_536;
const TRANSFER_MEMORY_MS = 10_000;

/**
 * Moves a connection to the way that packets to the relay take now, as from Wi-Fi to mobile data: at once when the
 * local address has changed, and also when the peer has fallen silent although it was asked. Ends with the connection.
 */
export function followRoute(dialled: DialledConnection, peer: HostPort): void {
  const { connection } = dialled;
  const isInTransfer = watchTransfers(dialled);
  let looking = false;
  let askedMs: number | null = null;

  const look = async () => {
    const inTransfer = isInTransfer(performance.now());
    const address = await localAddressTowards(peer);
    if (connection.isClosed) return;
    if (address !== null && address !== dialled.local.host) return void (await dialled.migrate());
    await tryAnotherSocket(address, inTransfer);
  };

  /** Something is asked for first: a peer that has nothing to say is silent as well. Asked again at each look, it answers as soon as a way that was dead is not. */
  const tryAnotherSocket = async (address: string | null, inTransfer: boolean) => {
    const nowMs = performance.now();
    if (nowMs - connection.lastReceivedMs < (inTransfer ? SILENT_IN_TRANSFER_MS : SILENT_MS)) {
      askedMs = null;
      return;
    }
    askedMs ??= nowMs;
    if (nowMs - askedMs < SILENT_MS || address === null) return connection.askForLife();
    askedMs = nowMs;
    await dialled.migrate();
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

/** Answers, at each look, whether bytes came in numbers a short while ago. */
function watchTransfers({ connection }: DialledConnection): (nowMs: number) => boolean {
  let bytes = connection.bytesIn;
  let lastMs = Number.NEGATIVE_INFINITY;
  return (nowMs) => {
    const { bytesIn } = connection;
    if (bytesIn - bytes >= TRANSFER_BYTES) lastMs = nowMs;
    bytes = bytesIn;
    return nowMs - lastMs < TRANSFER_MEMORY_MS;
  };
}
