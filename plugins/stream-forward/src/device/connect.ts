import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { type ErrorCode, TowlineError } from '@towline/protocol';
import { KEEP_ALIVE_MS } from '../limits.ts';
import { type Address, formatAddress } from '../target/address.ts';

/** What errors of the system mean for whoever asked. */
const CODES: Readonly<Record<string, ErrorCode>> = Object.freeze({
  ECONNREFUSED: 'target_refused',
  ECONNRESET: 'target_refused',
  ETIMEDOUT: 'target_timeout',
  ENOENT: 'target_not_found',
  ENOTSOCK: 'target_refused',
});
/** Least time for one of several addresses, milliseconds. */
const LEAST_MS = 2_000;

/** How long somebody waits for a connection. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Monotonic time, milliseconds (performance.now). */
  readonly untilMs: number;
}

/** Connects to the first of some addresses that accepts. @throws TowlineError why the last of them did not. */
export async function connectTcp(addresses: readonly Address[], port: number, { signal, untilMs }: Patience): Promise<Socket> {
  let failure = new TowlineError(addresses.length === 0 ? 'target_unreachable' : 'target_timeout');
  for (const [at, address] of addresses.entries()) {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) break;
    const shareMs = at === addresses.length - 1 ? leftMs : Math.min(leftMs, Math.max(LEAST_MS, leftMs / (addresses.length - at)));
    const options = { host: formatAddress(address), port, family: address.family, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    try {
      return await open({ ...options, noDelay: true }, { signal, timeoutMs: shareMs });
    } catch (error) {
      failure = error as TowlineError;
      if (signal.aborted) break;
    }
  }
  throw failure;
}

/** Connects to a unix socket. @throws TowlineError */
export function connectUnix(path: string, { signal, untilMs }: Patience): Promise<Socket> {
  return open({ path }, { signal, timeoutMs: untilMs - performance.now() });
}

/** The error that a fault of the system stands for. */
export function targetError(error: NodeJS.ErrnoException): TowlineError {
  const code = CODES[error.code ?? ''] ?? 'target_unreachable';
  if (error.code === 'EMFILE' || error.code === 'ENFILE') return new TowlineError('session_limit', 'The device has no file handle left.');
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new TowlineError('target_unreachable', 'The device may not connect there: a permission or a firewall forbids it.', {
      cause: error,
    });
  return new TowlineError(code, undefined, { cause: error });
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

function open(options: NetConnectOpts, { signal, timeoutMs }: Attempt): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, allowHalfOpen: true });
    const timer = setTimeout(() => fail(new TowlineError('target_timeout')), Math.ceil(timeoutMs));
    const leave = () => fail(new TowlineError('cancelled'));
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    };
    const fail = (error: TowlineError) => {
      settle();
      socket.destroy();
      reject(error);
    };
    socket.on('error', (error) => fail(targetError(error)));
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}
