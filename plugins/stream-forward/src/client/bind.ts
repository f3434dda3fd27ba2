import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';
import { parseAddress } from '../target/address.ts';
import { isLoopback } from '../target/special-addresses.ts';

/** How often a free port is looked for that both loopback addresses have. */
const FREE_PORT_ATTEMPTS = 20;
/** What a machine without IPv6 answers. */
const NO_SUCH_FAMILY: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT']);

/** Faults of the system in words. */
const WHY: Readonly<Record<string, string>> = Object.freeze({
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EADDRNOTAVAIL: 'this machine has no such address',
  EROFS: 'nothing can be written there',
});

/** Places of this machine that are listened on. */
export interface Bound<Part> {
  readonly parts: readonly Part[];
  /** Addresses as people write them, `127.0.0.1:8080`. */
  readonly places: readonly string[];
  /** The port taken; 0 for a path. */
  readonly port: number;
  /** Whether other machines can reach it. */
  readonly isWide: boolean;
  /** Takes no more. */
  close(): void;
}

/** Listens for connections. @throws TowlineError `cannot_listen`. */
export function bindTcp(bind: string | undefined, port: number, onConnection: (socket: Socket) => void): Promise<Bound<Server>> {
  return bindAll({ bind, port }, (host, wanted) =>
    listen(createServer({ allowHalfOpen: true, noDelay: true }, onConnection), host, wanted),
  );
}

/** Binds sockets for datagrams. @throws TowlineError `cannot_listen`. */
export function bindUdp(bind: string | undefined, port: number): Promise<Bound<DatagramSocket>> {
  return bindAll({ bind, port }, async (host, wanted) => {
    const socket = createSocket(isIPv6(host) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
    socket.bind(wanted, host);
    await once(socket, 'listening');
    return { part: socket, port: socket.address().port };
  });
}

interface Part<Kind> {
  readonly part: Kind;
  readonly port: number;
}

type BindOne<Kind> = (host: string, port: number) => Promise<Part<Kind>>;

async function bindAll<Kind extends { close(): unknown }>(
  { bind, port }: { readonly bind: string | undefined; readonly port: number },
  bindOne: BindOne<Kind>,
): Promise<Bound<Kind>> {
  const hosts = hostsOf(bind);
  for (let attempt = 1; ; attempt += 1) {
    const parts: Part<Kind>[] = [];
    const places: string[] = [];
    const close = () => {
      for (const { part } of parts) part.close();
    };
    try {
      for (const host of hosts) {
        const part = await bindUnlessMissing(host, parts[0]?.port ?? port, { bindOne, isNeeded: parts.length === 0 });
        if (part === null) continue;
        parts.push(part);
        places.push(isIPv6(host) ? `[${host}]:${part.port}` : `${host}:${part.port}`);
      }
      return { parts: parts.map(({ part }) => part), places, port: parts[0]!.port, isWide: !hosts.every(isLocal), close };
    } catch (error) {
      close();
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!(isTaken && port === 0 && attempt < FREE_PORT_ATTEMPTS)) throw cannotListen(`port ${port}`, error as NodeJS.ErrnoException);
    }
  }
}

function hostsOf(bind: string | undefined): readonly string[] {
  if (bind === undefined || bind === 'localhost') return ['127.0.0.1', '::1'];
  return bind === '*' ? ['0.0.0.0', '::'] : [bind];
}

function isLocal(host: string): boolean {
  const address = parseAddress(host);
  return address !== null && isLoopback(address);
}

/** A second address that this machine does not have is left out. */
async function bindUnlessMissing<Kind>(
  host: string,
  port: number,
  { bindOne, isNeeded }: { readonly bindOne: BindOne<Kind>; readonly isNeeded: boolean },
): Promise<Part<Kind> | null> {
  try {
    return await bindOne(host, port);
  } catch (error) {
    if (!isNeeded && NO_SUCH_FAMILY.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

async function listen(server: Server, host: string, port: number): Promise<Part<Server>> {
  server.listen({ host, port, ipv6Only: true });
  await once(server, 'listening');
  return { part: server, port: (server.address() as { port: number }).port };
}

/** Why nothing can listen on a port or path. */
export function cannotListen(where: string, error: NodeJS.ErrnoException): TowlineError {
  if (error.code === 'EADDRINUSE') {
    return new TowlineError('cannot_listen', `Another program uses ${where} of this machine.`.replace('port 0', 'every free port'), {
      hint: 'Choose another one, or 0 for a free port; it is printed then.',
      cause: error,
    });
  }
  const why = WHY[error.code ?? ''] ?? error.code ?? error.message;
  return new TowlineError('cannot_listen', `The program cannot listen on ${where}: ${why}.`, { cause: error });
}
