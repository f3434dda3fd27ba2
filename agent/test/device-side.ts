import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { DeviceHandler, Link } from '@towline/contract';
import { createLink } from '@towline/link';
import {
  createDeviceKeyPair,
  createId,
  type DeviceId,
  fingerprintOf,
  parsePrivateKey,
  publishGrantKeys,
  type SessionId,
} from '@towline/protocol';
import { z } from 'zod';
import type { Identity } from '../src/identity.ts';
import { SessionJournal } from '../src/journal.ts';
import { LiveSessions } from '../src/live-sessions.ts';
import type { LoggedIn } from '../src/log-in.ts';
import { type LinkHost, serveLink } from '../src/serve-link.ts';
import { testGrantKey } from './relay-side.ts';

/** Two ends of a link over a TCP connection on loopback. */
export async function linkPair(): Promise<{ readonly relay: Link; readonly device: Link; readonly socket: Socket }> {
  const server = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
  server.close();
  return { relay: createLink(near, { role: 'opener' }), device: createLink(far, { role: 'acceptor' }), socket: near };
}

/** A new identity that is on no disk. */
export function newIdentity(): Identity {
  const { publicKey, privateKey } = createDeviceKeyPair();
  return { deviceId: createId<DeviceId>(), publicKey, privateKey: parsePrivateKey(privateKey)!, fingerprint: fingerprintOf(publicKey) };
}

const echoBody = z.strictObject({
  say: z.string().optional(),
  refuse: z.boolean().optional(),
  fail: z.boolean().optional(),
  hang: z.boolean().optional(),
  /** Prepares until whoever asked has left. */
  linger: z.boolean().optional(),
});

/** A handler that sends back what it is sent, and can be asked to refuse, fail, or go on until the session is over. */
export const echo: DeviceHandler<z.infer<typeof echoBody>> = {
  name: 'echo',
  protocol: '/echo/1',
  body: echoBody,
  runsPrograms: false,
  async prepare(body, context) {
    if (body.refuse) throw new Error('no such thing');
    if (body.linger) await once(context.signal, 'abort');
    return {
      abandon: () => context.log.info('abandoned'),
      answer: { principal: context.principal },
      async run(session) {
        if (body.fail) throw new Error('the handler broke');
        if (body.hang) {
          if (!session.signal.aborted) await once(session.signal, 'abort');
          return { reason: 'signalled', signal: 'SIGHUP' };
        }
        for await (const bytes of session.input(0)) session.output(0).write(bytes);
        return { reason: 'exited', exit_code: 7 };
      },
    };
  },
};

/** The same, but counted as a connection. */
export const light: DeviceHandler<z.infer<typeof echoBody>> = { ...echo, name: 'light', protocol: '/light/1', countsAs: 'connection' };

/** The same, of the kind that runs programs. */
export const program: DeviceHandler<z.infer<typeof echoBody>> = { ...echo, name: 'program', protocol: '/program/1', runsPrograms: true };

/** A device that serves one link, and what came of it. */
export interface ServedDevice {
  readonly host: LinkHost;
  readonly lines: string[];
  readonly stored: { readonly apiKeys: string[]; readonly grantKeys: unknown[]; readonly online: LoggedIn[] };
  /** Serves a link as the runtime does; resolves with the code of the error that ended it, or `over`. */
  serve(link: Link): Promise<string>;
}

/** A device with the given changes to what it serves with. */
export function createDevice(relayId: string, changes: Partial<LinkHost> = {}): ServedDevice {
  const lines: string[] = [];
  const stored = { apiKeys: [] as string[], grantKeys: [] as unknown[], online: [] as LoggedIn[] };
  const write = (level: string) => (message: string, fields?: object) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  const host: LinkHost = {
    identity: newIdentity(),
    instance: createId<SessionId>(),
    handlers: new Map([echo, program, light].map((handler) => [handler.protocol, handler as DeviceHandler])),
    sessions: new LiveSessions(8),
    journal: new SessionJournal({ monotonicMs: () => performance.now() }),
    runAs: undefined,
    isRoot: false,
    log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    clock: { now: () => Date.now() },
    known: { relayId, grantKeys: publishGrantKeys([testGrantKey]) },
    beside: false,
    transportNote: undefined,
    onOnline: async (loggedIn) => void stored.online.push(loggedIn),
    onServing: () => undefined,
    saveGrantKeys: async (keys) => void stored.grantKeys.push(keys),
    storeApiKey: async (key) => void stored.apiKeys.push(key),
    ...changes,
  };
  return {
    host,
    lines,
    stored,
    async serve(link) {
      const over = new AbortController();
      void link.closed.then(() => over.abort());
      try {
        await serveLink(link, over.signal, host);
        return 'over';
      } catch (error) {
        const { code, message } = error as { code: 'internal'; message: string };
        await link.close(code, message);
        return code;
      }
    },
  };
}
