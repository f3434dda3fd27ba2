import type { Socket } from 'node:net';
import { CreditBudget, createLink, retryAfterMs, startDeadline } from '@towline/link';
import { AUTHENTICATION_DEADLINE_MS, ERRORS, TowlineError, toTowlineError } from '@towline/protocol';
import { acceptRequest, type LinkRequest } from '../link/accept-request.ts';
import type { QuicConnection } from '../loop/quic-connection.ts';
import { bridgeLinks } from './bridge-links.ts';
import { createGuestList, type Guest, type GuestLimits } from './guest-list.ts';
import { type Door, reachDoor } from './reach-door.ts';

/** Time for the relay to judge a credential, milliseconds: more than it takes itself, so that its answer is heard. */
const JUDGEMENT_MS = 15_000;
/** Time for the relay to read the last bytes of a link that was lost, milliseconds. */
const HANG_UP_MS = 1_000;
/** Bytes by which the receive windows of all links to the relay together may have grown. */
const MAX_GROWTH_BYTES = 268_435_456;

/** What carries connections to the relay. */
export interface Carrier {
  /** Carries one connection whose handshake is done, until it is over. Never rejects. */
  carry(connection: QuicConnection): Promise<void>;
  readonly figures: Readonly<Record<string, number>>;
}

/** Makes the carrier: each connection that the relay lets in becomes a link to it through the door. */
export function createCarrier({ door, limits }: { readonly door: Door; readonly limits: GuestLimits }): Carrier {
  const guests = createGuestList(limits);
  const growth = new CreditBudget(MAX_GROWTH_BYTES);
  const counts = { links: 0, refused: 0, turnedAway: 0 };

  const admit = async (connection: QuicConnection, guest: Guest) => {
    const request = await readRequest(connection);
    if (request === null) return;
    let socket: Socket;
    try {
      socket = await knock(door, request, connection);
    } catch (error) {
      counts.refused += 1;
      const refusal = toTowlineError(error);
      return await request.refuse(refusal, retryAfterMs(refusal));
    }
    guest.known();
    counts.links += 1;
    // The relay opens streams towards devices; clients open them towards the relay.
    const isDevice = request.role === 'device';
    const toRelay = createLink(socket, { role: isDevice ? 'acceptor' : 'opener', sharedGrowth: growth });
    const toPeer = request.accept();
    const [from, to] = isDevice ? [toRelay, toPeer] : [toPeer, toRelay];
    await bridgeLinks({ from, to, toRelay, hangUp: () => hangUp(socket) });
  };

  return {
    async carry(connection) {
      let guest: Guest;
      try {
        guest = guests.enter(connection.peer.host);
      } catch (error) {
        counts.turnedAway += 1;
        // This way is full, and another may not be: `rate_limited` would be the relay's word, for which diallers do not try TLS.
        return connection.close(ERRORS.unavailable.wire, toTowlineError(error).message);
      }
      try {
        await admit(connection, guest);
      } catch {
        // A fault of ours in one connection is not one of the others'.
        connection.close(ERRORS.internal.wire, ERRORS.internal.text);
      } finally {
        guest.left();
      }
    },
    get figures() {
      return {
        links: guests.connections - guests.strangers,
        strangers: guests.strangers,
        links_total: counts.links,
        refused_links_total: counts.refused,
        turned_away_total: counts.turnedAway,
      };
    },
  };
}

/** Null when the peer asked for nothing, or for nonsense, in its time: its connection is closed then. */
async function readRequest(connection: QuicConnection): Promise<LinkRequest | null> {
  using deadline = startDeadline(
    AUTHENTICATION_DEADLINE_MS,
    () => new TowlineError('timeout', 'The connection asked for no link in time.'),
  );
  // Awaited here: the deadline ends with this function.
  return await acceptRequest(connection, deadline.signal).catch(() => null);
}

/** Makes the request at the relay. @throws TowlineError the relay's refusal, or `link_lost` when the dialler has gone. */
async function knock(door: Door, { role, credential, peer }: LinkRequest, connection: QuicConnection): Promise<Socket> {
  const gone = new AbortController();
  void connection.closed.then(() => gone.abort(new TowlineError('link_lost')));
  const late = () => new TowlineError('timeout', 'The relay did not judge the credential in time.');
  using deadline = startDeadline(JUDGEMENT_MS, late, gone.signal);
  return await reachDoor(door, { role, credential, address: peer.host }, deadline.signal);
}

/** Ends the socket's writing side after what was written; the relay hangs up when it has read that. */
function hangUp(socket: Socket): void {
  socket.end();
  const late = setTimeout(() => socket.destroy(), HANG_UP_MS);
  socket.once('close', () => clearTimeout(late));
}
