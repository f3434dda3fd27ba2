import type { RelayConfig } from '@towline/config/relay';
import { TowlineError } from '@towline/contract';
import type { HttpServer } from '../http/server.ts';

/** Where the HTTP edge listens. */
export interface Bound {
  /** `https://HOST:PORT` by which it is reached on this machine. */
  readonly url: string;
  readonly port: number;
}

/** Opens the port of the HTTP edge. @throws TowlineError `unavailable`. */
export async function listen(app: HttpServer, { server }: RelayConfig): Promise<Bound> {
  try {
    await app.listen({ host: server.host, port: server.port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === 'EADDRINUSE' ? 'the port is in use' : code === 'EACCES' ? 'not permitted' : String((cause as Error).message);
    throw new TowlineError('unavailable', `Cannot listen on ${server.host} port ${server.port}: ${reason}.`, {
      hint: 'Choose another with --port or server.port.',
      cause,
    });
  }
  const { port } = app.server.address() as { port: number };
  const host = isAnyAddress(server.host) ? 'localhost' : server.host;
  return { url: `${server.tls.enabled ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`, port };
}

/** Whether a listener on this host takes connections to any address of the machine. */
export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
