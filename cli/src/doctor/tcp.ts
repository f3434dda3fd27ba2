import { connect, type Socket } from 'node:net';
import { cancellation, explainRequestFault, relayAddress } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { type Finding, ok } from './finding.ts';
import { checkTunnel } from './proxy.ts';
import type { Subject } from './subject.ts';

/** Time an address of a name is given before the next is tried, milliseconds: both families get a turn within the deadline. */
const ADDRESS_ATTEMPT_MS = 2_000;

/** Connects to the relay's port, through the proxy where there is one, and says nothing. @throws TowlineError `relay_unreachable`. */
export async function checkTcp(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { url } = await subject.target();
  const proxy = await subject.proxy();
  return proxy === undefined ? checkDirect(url, signal) : checkTunnel(url, proxy, signal);
}

async function checkDirect(relay: URL, signal: AbortSignal): Promise<Finding> {
  const { port } = relayAddress(relay);
  const begun = performance.now();
  const socket = await connectTo(relay, signal).catch((error: unknown) => {
    throw explain(error, relay, signal);
  });
  const address = socket.remoteAddress ?? relay.hostname;
  socket.destroy();
  return ok(`${address} takes connections on port ${port} (${Math.round(performance.now() - begun)} ms).`);
}

function connectTo(relay: URL, signal: AbortSignal): Promise<Socket> {
  const { host, port } = relayAddress(relay);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS });
    const onAbort = () => socket.destroy(cancellation(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    // Stays: what happens to a socket that nobody needs any more is of no interest.
    socket.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
  });
}

const HINTS: Readonly<Record<string, string>> = Object.freeze({
  ECONNREFUSED: 'Nothing listens there: check that the relay runs, and the port in its URL.',
  ENETUNREACH: 'Check that this machine has a network.',
  EHOSTUNREACH: 'Check the network of this machine, and that the relay is switched on.',
});

function explain(error: unknown, relay: URL, signal: AbortSignal): TowlineError {
  const { host, port } = relayAddress(relay);
  const filtered = `Something on the way drops what is sent: check that firewalls let TCP port ${port} through, and the port in the URL.`;
  if (signal.aborted)
    return new TowlineError('relay_unreachable', `${host} did not answer on TCP port ${port}.`, { hint: filtered, cause: error });
  const { message } = explainRequestFault(error, relay);
  const hint = HINTS[String((error as NodeJS.ErrnoException).code)] ?? filtered;
  return new TowlineError('relay_unreachable', message, { hint, cause: error });
}
