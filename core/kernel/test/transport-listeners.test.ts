import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListenerState, RelayCertificate, RelayTransport, TransportListener } from '@towline/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { openTcp, whenOver } from '../../../test/support/raw-peer.ts';
import { runRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import type { TestRelay } from '../../../test/support/system.ts';
import { createLog } from '../src/log.ts';
import { createTransportListeners, type DoorSettings } from '../src/transports/listeners.ts';
import { createSideSite, type SideOptions } from './side-transport.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function siteWith(options: SideOptions, lines: readonly string[] = []) {
  const dir = mkdtempSync(join(tmpdir(), 'towline-listeners-'));
  folders.push(dir);
  return { dir, ...createSideSite(dir, options, lines) };
}

const start = ({ dir, config }: { readonly dir: string; readonly config: string }) =>
  runRelay(['start', '--config', config, '--data', join(dir, 'data'), '--host', '127.0.0.1', '--port', '0']);

describe('a relay with a transport that listens by itself', () => {
  it.each([
    ['listen', 'The listener of the transport "side" cannot listen: the side port is taken.'],
    ['listener', 'its listen() returned something else than a listener'],
  ] as const)('does not start when its listener is at fault: %s', async (fails, text) => {
    const site = siteWith({ fails });
    const { code, stdout, stderr } = await start(site);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(text);
    // What it had opened is closed, and the plugin was disposed of.
    if (fails === 'listener') expect(site.told()).toContain('closed with 0');
    expect(site.told().at(-1)).toBe('disposed');
    await using again = await startRelayOn(join(site.dir, 'data'));
    expect(again.url).toMatch(/^https:/);
  });

  it('goes on with the old certificate of a listener that does not take the new one', async () => {
    const site = siteWith({ fails: 'renew' });
    await using relay = await startRelayOn(join(site.dir, 'data'), { config: site.config });
    rmSync(join(relay.dir, 'tls', 'relay.pem'));
    relay.program.child.kill('SIGHUP');
    await relay.program.saw(/did not take the renewed certificate/, 'stderr');
    await relay.program.saw(/the certificates were reloaded/, 'stderr');
    await isOpen(relay);
  });

  it.each([
    ['close', 'failed while it closed: it broke while it closed'],
    ['hang', 'did not close within 10 s'],
  ] as const)('stops although the listener is at fault, and says so: %s', async (fails, text) => {
    const site = siteWith({ fails });
    await using relay = await startRelayOn(join(site.dir, 'data'), { config: site.config });
    relay.program.child.kill('SIGTERM');
    const { code, stderr } = await relay.program.finished;
    expect(code).toBe(1);
    expect(stderr).toContain(text);
    expect(site.told().at(-1)).toBe('disposed');
  });

  it('tells it that there is no certificate where the relay has no TLS', async () => {
    const site = siteWith({}, ['server: { host: 127.0.0.1, tls: { enabled: false } }']);
    await using relay = await startRelayOn(join(site.dir, 'data'), { config: site.config });
    expect(site.told()).toContain(`listen ${JSON.stringify({ host: '127.0.0.1', port: relay.port, tls: false })}`);
  });
});

async function isOpen(relay: TestRelay): Promise<void> {
  const socket = await openTcp(relay);
  socket.destroy();
  await whenOver(socket);
}

/** A listener on a port of its own, whose life the test sees. */
function listening(name: string, life: string[], more: Partial<TransportListener> = {}): RelayTransport {
  return {
    async listen(): Promise<TransportListener> {
      const server = await new Promise<Server>((resolve) => {
        const opened = createServer().listen(0, '127.0.0.1', () => resolve(opened));
      });
      life.push(`open ${name}`);
      return {
        state: { status: 'up', figures: {} },
        renewCertificate: ({ certPem }) => void life.push(`renew ${name} ${certPem}`),
        async [Symbol.asyncDispose]() {
          life.push(`close ${name}`);
          await new Promise((resolve) => server.close(resolve));
        },
        ...more,
      };
    },
  };
}

const certificate = (certPem: string): RelayCertificate => ({ certPem, keyPem: 'key' });
const doorWith = (read: () => RelayCertificate | null): DoorSettings => ({
  host: '127.0.0.1',
  port: 1,
  certificate: read,
  accept: (connection) => void connection.destroy(),
});
const listenersOf = (transports: Readonly<Record<string, RelayTransport>>, ms = 5_000) =>
  createTransportListeners({
    transports: Object.entries(transports).map(([name, transport]) => ({ name, transport })),
    log: createLog({ level: 'silent' }),
    listenDeadlineMs: ms,
    closeDeadlineMs: ms,
  });
const NEVER = new AbortController().signal;

describe('the listeners of transports', () => {
  it('open in the order of the config and close in reverse, once', async () => {
    const life: string[] = [];
    const listeners = listenersOf({ one: listening('one', life), none: { upgrades: [] }, two: listening('two', life) });
    await listeners.open(
      doorWith(() => null),
      NEVER,
    );
    expect(listeners.states.map(({ name }) => name)).toEqual(['one', 'two']);
    await listeners.close();
    await listeners.close();
    expect(life).toEqual(['open one', 'open two', 'close two', 'close one']);
    expect(listeners.states).toEqual([]);
  });

  it('of which one hangs: the others close, and it is named', async () => {
    const life: string[] = [];
    const hangs = { [Symbol.asyncDispose]: () => new Promise<void>(() => {}) };
    const listeners = listenersOf({ one: listening('one', life), two: listening('two', life, hangs) }, 300);
    await listeners.open(
      doorWith(() => null),
      NEVER,
    );
    await expect(listeners.close()).rejects.toMatchObject({ code: 'plugin_timeout', message: expect.stringContaining('"two"') });
    expect(life.at(-1)).toBe('close one');
  });

  it('of which one is opened too late: it is closed as soon as it is there', async () => {
    const life: string[] = [];
    const slow = listening('slow', life);
    let release: (() => void) | undefined;
    const waiting: RelayTransport = {
      listen: async (door) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return slow.listen!(door);
      },
    };
    const listeners = listenersOf({ slow: waiting }, 200);
    const opening = listeners.open(
      doorWith(() => null),
      NEVER,
    );
    await expect(opening).rejects.toMatchObject({ code: 'plugin_timeout' });
    release?.();
    await expect.poll(() => life).toEqual(['open slow', 'close slow']);
  });

  it('are given up when the start is', async () => {
    const given = new AbortController();
    const listeners = listenersOf({ stuck: { listen: () => new Promise(() => {}) } });
    const opening = listeners.open(
      doorWith(() => null),
      given.signal,
    );
    given.abort();
    await expect(opening).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('all get a renewed certificate, also one that came while they were opened, whatever one of them throws', async () => {
    const life: string[] = [];
    let present = certificate('first');
    const throwing = {
      renewCertificate: () => {
        throw new Error('no');
      },
    };
    const renewing: RelayTransport = {
      listen: (door) => {
        present = certificate('second');
        return listening('one', life).listen!(door);
      },
    };
    const listeners = listenersOf({ one: renewing, two: listening('two', life, throwing), three: listening('three', life) });
    await listeners.open(
      doorWith(() => present),
      NEVER,
    );
    expect(life).toContain('renew one second');
    listeners.renewCertificate(certificate('third'));
    expect(life.filter((line) => line.includes('third'))).toEqual(['renew one third', 'renew three third']);
    await listeners.close();
  });

  it.each([
    [
      { status: 'down', detail: 'crashed with twl_d_0123456789abcdef_secret\u001b[2J', figures: {} },
      /^crashed with twl_d_0123456789abcdef_\[redacted\]\\u/,
    ],
    [{ status: 'down', detail: 'x'.repeat(10_000), figures: {} }, /^x{300}$/],
    [{ status: 'sideways', figures: {} }, /does not tell/],
    [undefined, /does not tell/],
  ] as const)('tell their state to anybody, so that nothing of it may be a secret or endless: %j', async (state, detail) => {
    const listeners = listenersOf({ one: listening('one', [], { state: state as unknown as ListenerState }) });
    await listeners.open(
      doorWith(() => null),
      NEVER,
    );
    expect(listeners.states[0]!.state).toMatchObject({ status: 'down', detail: expect.stringMatching(detail) });
    await listeners.close();
  });
});
