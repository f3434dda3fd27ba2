import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord, AuditView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyChain } from '../core/kernel/src/audit/chain.ts';
import { bin } from './support/process.ts';
import { linkClient } from './support/raw-client.ts';
import { bodyOf, openApi } from './support/relay-api.ts';
import { startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

const OWNER = 'user:owner@example.com';
const tmux = await hasTmux();
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let deviceId: string;
const keys: Record<'owner' | 'operator' | 'viewer' | 'stranger', { id: string; key: string }> = {} as never;
beforeAll(async () => {
  system = createSystem();
  const dir = join(system.dir, 'config');
  mkdirSync(dir);
  writeFileSync(join(dir, 'towline.yaml'), 'audit: { sinks: [{ use: file, path: audit.jsonl, required: true }] }\n');
  relay = await startRelayOn(join(system.dir, 'relay'), { config: join(dir, 'towline.yaml') });
  device = await system.enrolDevice(relay, { email: 'owner@example.com' });
  deviceId = (JSON.parse(readFileSync(join(device.dir, 'device.json'), 'utf8')) as { device_id: string }).device_id;
  keys.owner = await createKey('--email', 'owner@example.com', '--name', 'key of the owner');
  keys.operator = await createKey('--email', 'operator@example.com', '--scope', OWNER, '--role', 'operator');
  keys.viewer = await createKey('--email', 'viewer@example.com', '--scope', OWNER, '--role', 'viewer');
  keys.stranger = await createKey('--email', 'stranger@example.com');
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

async function createKey(...args: string[]): Promise<{ id: string; key: string }> {
  const { code, stdout, stderr } = await system.rescue(relay, ['keys', 'create', '--json', ...args]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { id: string; key: string };
}

const trail = () => storedTrail(relay.dir);
const filePath = () => join(system.dir, 'config', 'audit.jsonl');
const inFile = () =>
  readFileSync(filePath(), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
const run = (words: readonly string[], key: string = keys.owner.key, stdin?: string) =>
  system.towline(relay, words, { key, ...(stdin === undefined ? {} : { stdin }) });

/** The last session whose detail has this, when both its records are there. */
async function recordsOf(action: (opened: AuditRecord) => boolean): Promise<[opened: AuditRecord, closed: AuditRecord]> {
  return eventually(async () => {
    const records = trail();
    const opened = records.findLast((record) => record.action === 'session.opened' && action(record));
    const closed = records.find((record) => record.action === 'session.closed' && record.session === opened?.session);
    return opened && closed && [opened, closed];
  }, 'the session is opened and closed in the trail');
}
const withCommand = (command: readonly string[]) => (record: AuditRecord) =>
  JSON.stringify(record.detail?.command) === JSON.stringify(command);

const user = (name: keyof typeof keys) => ({
  kind: 'user',
  id: `local|${name}@example.com`,
  label: `${name}@example.com`,
  email: `${name}@example.com`,
  provider: 'apikey',
  keyId: keys[name].id,
});
const operator = { kind: 'operator', id: 'operator', label: 'operator of the relay' };
/** What a record has besides what it tells. */
const inChain = {
  number: expect.any(Number),
  at: expect.any(Number),
  previousHash: expect.stringMatching(/^[0-9a-f]{64}$/),
  hash: expect.stringMatching(/^[0-9a-f]{64}$/),
};

describe('a session', () => {
  it('of exec is in the trail with who, from where, what, when, how long, bytes, exit and reason', async () => {
    const command = ['sh', '-c', 'cat; echo to stderr >&2; sleep 0.3; exit 7'];
    const before = Date.now();
    expect((await run(['pi', 'exec', '-i', '--', ...command], keys.operator.key, 'x'.repeat(1_000))).code).toBe(7);
    const [opened, closed] = await recordsOf(withCommand(command));
    const common = {
      ...inChain,
      actor: user('operator'),
      address: '127.0.0.1',
      device: { id: deviceId, name: 'pi' },
      owner: OWNER,
      session: expect.stringMatching(/^[0-9a-f]{32}$/),
      protocol: '/exec/1',
      outcome: 'ok',
      detail: { command, tty: false },
    };
    expect(opened).toEqual({ ...common, action: 'session.opened' });
    expect(closed).toEqual({
      ...common,
      action: 'session.closed',
      reason: 'exited',
      exitCode: 7,
      durationMs: expect.any(Number),
      bytesToDevice: 1_000,
      bytesFromDevice: 1_000 + 'to stderr\n'.length,
      reportedBy: 'device',
    });
    expect(opened.at).toBeGreaterThanOrEqual(before);
    expect(closed.durationMs).toBeGreaterThanOrEqual(300);
    expect(closed.durationMs).toBeLessThanOrEqual(closed.at - opened.at);
  });

  it('that a signal ended has its name and no exit code', async () => {
    const command = ['sh', '-c', 'kill -TERM $$'];
    expect((await run(['pi', 'exec', '--', ...command])).code).toBe(143);
    const [, closed] = await recordsOf(withCommand(command));
    expect(closed).toMatchObject({ outcome: 'ok', reason: 'signalled', signal: 'SIGTERM', reportedBy: 'device' });
    expect(closed).not.toHaveProperty('exitCode');
  });

  it.skipIf(!tmux)('of a shell is in the trail without what was typed', async () => {
    await using terminal = await openTerminal(`${bin('towline')} pi shell`, {
      TOWLINE_RELAY: relay.url,
      TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
      TOWLINE_API_KEY: keys.operator.key,
      TOWLINE_CONFIG_DIR: join(system.dir, 'shell-user'),
    });
    await terminal.shows(/sha256:/);
    await terminal.type('echo se""en; exit 3\n');
    await terminal.shows(/^seen$/m);
    await terminal.shows(/ended with 3/);
    const [opened, closed] = await recordsOf(({ protocol }) => protocol === '/shell/1');
    expect(opened).toMatchObject({ actor: user('operator'), device: { id: deviceId }, detail: { term: expect.any(String) } });
    expect(closed).toMatchObject({ actor: user('operator'), outcome: 'ok', reason: 'exited', exitCode: 3, reportedBy: 'device' });
    expect(closed.bytesToDevice).toBeGreaterThan(0);
    expect(closed.bytesFromDevice).toBeGreaterThan(0);
    expect(JSON.stringify([opened, closed])).not.toContain('exit 3');
  });
});

describe('an opening that is refused', () => {
  it.each([
    ['for a stranger, as if there were no such device', 'stranger', 'pi', {}, 'not_found', false],
    ['for who may only look', 'viewer', 'pi', {}, 'forbidden', true],
    ['for a device that nobody has', 'owner', 'nothing', {}, 'not_found', false],
    ['for a stream that the relay does not offer', 'owner', 'pi', { protocol: '/files/1' }, 'stream_not_offered', false],
    ['for a request that is not valid', 'owner', 'pi', { body: { argv: [] } }, 'invalid_request', true],
  ] as const)('is in the trail: %s', async (_what, name, target, opening, code, known) => {
    await using client = await linkClient(relay, keys[name].key);
    expect(await client.open(target, opening)).toBe(code);
    const records = trail().filter(({ session }) => session === client.sessions[0]);
    expect(records).toEqual([
      {
        ...inChain,
        action: 'session.refused',
        actor: user(name),
        address: '127.0.0.1',
        session: client.sessions[0],
        protocol: (opening as { protocol?: string }).protocol ?? '/exec/1',
        outcome: 'refused',
        reason: code,
        detail: { asked_for: target },
        ...(known ? { device: { id: deviceId, name: 'pi' }, owner: OWNER } : {}),
      },
    ]);
  });

  it('by the device itself is opened and closed as refused', async () => {
    await using other = await system.enrolDevice(relay, {
      name: 'refusing',
      email: 'owner@example.com',
      env: {},
      args: ['--run-as', 'no-such-user'],
    });
    const { code, stderr } = await run([other.name, 'exec', '--json', '--', 'true']);
    expect(code).toBe(255);
    const told = (JSON.parse(stderr) as { error: { code: string } }).error.code;
    const [, closed] = await recordsOf((record) => record.device?.name === 'refusing');
    expect(closed).toMatchObject({ outcome: 'refused', reason: told, reportedBy: 'relay' });
  });

  it('because the device is away is in the trail', async () => {
    await using other = await system.enrolDevice(relay, { name: 'away', email: 'owner@example.com' });
    await other[Symbol.asyncDispose]();
    expect((await run(['away', 'exec', '--', 'true'])).code).toBe(255);
    expect(trail().at(-1)).toMatchObject({ action: 'session.refused', reason: 'device_offline', device: { name: 'away' }, owner: OWNER });
  });
});

describe('what is decided', () => {
  it('about a request to enrol is in the trail: asked, approved, fetched', () => {
    const of = trail().filter((record) => record.device?.id === deviceId && record.action.startsWith('device.'));
    const { fingerprint } = of[0]!.detail as { fingerprint: string };
    expect(fingerprint).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(of.map(({ action }) => action)).toEqual(['device.requested', 'device.approved', 'device.claimed']);
    expect(of[0]).toMatchObject({
      actor: { kind: 'nobody' },
      address: '127.0.0.1',
      owner: OWNER,
      detail: { hostname: expect.any(String) },
    });
    expect(of[1]).toMatchObject({ actor: { kind: 'user', label: 'first admin' }, address: '127.0.0.1', detail: { fingerprint } });
  });

  it('about a device later is in the trail: rejected with its reason, renamed, its key renewed, removed', async () => {
    const rejected = system.startDevice(relay, { name: 'unwanted', email: 'owner@example.com' });
    const { request } = await rejected.event('waiting');
    expect((await run(['devices', 'reject', String(request), '--reason', 'not ours'])).code).toBe(0);
    expect(trail().at(-1)).toMatchObject({
      action: 'device.rejected',
      actor: user('owner'),
      address: '127.0.0.1',
      device: { name: 'unwanted' },
      detail: { request, reason: 'not ours' },
    });
    await using other = await system.enrolDevice(relay, { name: 'passing', email: 'owner@example.com' });
    for (const words of [
      ['devices', 'rename', 'passing', 'passed'],
      ['devices', 'rotate', 'passed'],
      ['devices', 'remove', 'passed'],
    ])
      expect((await run(words)).code).toBe(0);
    await other.program.finished;
    const told = trail().filter(({ action }) => /^device\.(renamed|key_rotated|removed)$/.test(action));
    expect(told.map(({ action, actor, device: on }) => [action, actor.label, on?.name])).toEqual([
      ['device.renamed', 'owner@example.com', 'passed'],
      ['device.key_rotated', 'owner@example.com', 'passed'],
      ['device.removed', 'owner@example.com', 'passed'],
    ]);
  });

  it('about keys by the rescue command is in the trail, and never the key', async () => {
    const { id, key } = await createKey('--email', 'brief@example.com', '--name', 'short life');
    await system.rescue(relay, ['keys', 'revoke', id, '--reason', 'over']);
    const about = trail().filter(({ detail }) => detail?.key === id);
    expect(about).toEqual([
      {
        ...inChain,
        action: 'key.created',
        actor: operator,
        owner: 'user:brief@example.com',
        outcome: 'ok',
        detail: { key: id, kind: 'user', name: 'short life', admin: false },
      },
      {
        ...inChain,
        action: 'key.revoked',
        actor: operator,
        owner: 'user:brief@example.com',
        outcome: 'ok',
        detail: { key: id, name: 'short life', reason: 'over' },
      },
    ]);
    expect(JSON.stringify(trail())).not.toContain(key.slice(-64));
  });
});

describe('the file sink', () => {
  it('has the records of the store, all and in order, with what other processes wrote, in a file for its owner', async () => {
    // The next record of the relay brings along what the rescue command wrote to the store.
    await run(['pi', 'exec', '--', 'true']);
    await recordsOf(withCommand(['true']));
    await eventually(async () => inFile().length === trail().length, 'the file is as long as the store');
    expect(inFile()).toEqual(trail());
    expect(statSync(filePath()).mode & 0o777).toBe(0o600);
  });

  it('and the store hold an unbroken chain, in which a change is noticed', async () => {
    const records = trail();
    expect(records.length).toBeGreaterThan(30);
    expect(await verifyChain(records)).toEqual({
      ok: true,
      count: records.length,
      head: { number: records.length, hash: records.at(-1)!.hash },
    });
    expect(await verifyChain(inFile())).toMatchObject({ ok: true, count: records.length });
    const changed = inFile().map((record) => (record.number === 20 ? { ...record, at: record.at + 1 } : record));
    expect(await verifyChain(changed)).toMatchObject({ ok: false, number: 20, fault: 'hash' });
    expect(await verifyChain(inFile().filter(({ number }) => number !== 20))).toMatchObject({ ok: false, number: 20, fault: 'number' });
  });
});

describe('towline audit', () => {
  const list = async (words: readonly string[], key?: string) => {
    const { code, stdout, stderr } = await run([...words, '--json'], key);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { items: AuditView[]; next: string | null };
  };
  const numbers = ({ items }: { items: readonly AuditView[] }) => items.map(({ number }) => number);
  const newestFirst = (which: (record: AuditRecord) => boolean) =>
    trail()
      .filter(which)
      .map(({ number }) => number)
      .reverse();

  it('of a device shows its records with every field, newest first', async () => {
    const { items, next } = await list(['pi', 'audit']);
    expect(next).toBeNull();
    expect(numbers({ items })).toEqual(newestFirst((record) => record.device?.id === deviceId));
    const [, closed] = await recordsOf(({ detail }) => JSON.stringify(detail).includes('to stderr'));
    expect(items.find(({ number }) => number === closed.number)).toEqual({
      number: closed.number,
      at: new Date(closed.at).toISOString(),
      action: 'session.closed',
      outcome: 'ok',
      reason: 'exited',
      actor: { kind: 'user', id: 'local|operator@example.com', label: 'operator@example.com', email: 'operator@example.com' },
      address: '127.0.0.1',
      device: { id: deviceId, name: 'pi' },
      session: closed.session,
      protocol: '/exec/1',
      duration_ms: closed.durationMs,
      bytes_to_device: 1_000,
      bytes_from_device: 1_010,
      exit_code: 7,
      signal: null,
      reported_by: 'device',
      detail: closed.detail,
    });
  });

  it('prints a line for a person, and with --details all the rest', async () => {
    const plain = await run(['pi', 'audit', '--action', 'session.closed', '--user', 'operator@example.com']);
    expect(plain.stdout).toMatch(/operator@example\.com +session\.closed +pi +ok \(exited\)/);
    expect(plain.stdout).not.toContain('127.0.0.1');
    const { stdout } = await run(['pi', 'audit', '--details', '--action', 'session.closed', '--user', 'operator@example.com']);
    for (const shown of [
      'by user local|operator@example.com',
      'from 127.0.0.1',
      `device ${deviceId}`,
      '/exec/1',
      '1.0 kB to the device',
      '1.0 kB from it',
      'exit code 7',
      'reported by device',
      'echo to stderr',
    ])
      expect(stdout).toContain(shown);
    expect(stdout).toMatch(/took \d/);
    expect((await run(['pi', 'audit', '--details', '--action', 'session.closed'])).stdout).toContain('signal SIGTERM');
  });

  it('filters by time, user and action', async () => {
    const records = trail();
    const middle = records[Math.floor(records.length / 2)]!.at;
    const at = new Date(middle).toISOString();
    const admin = relay.adminKey;
    expect(numbers(await list(['audit', '--since', at, '--limit', '1000'], admin))).toEqual(newestFirst((record) => record.at >= middle));
    expect(numbers(await list(['audit', '--until', at, '--limit', '1000'], admin))).toEqual(newestFirst((record) => record.at < middle));
    expect(numbers(await list(['audit', '--since', '1h', '--limit', '1000'], admin))).toEqual(newestFirst(() => true));
    expect(numbers(await list(['audit', '--until', '1h', '--limit', '1000'], admin))).toEqual([]);
    for (const who of ['operator@example.com', 'local|operator@example.com'])
      expect(numbers(await list(['audit', '--user', who], admin))).toEqual(
        newestFirst(({ actor }) => actor.email === 'operator@example.com'),
      );
    expect(numbers(await list(['audit', '--action', 'session.refused'], admin))).toEqual(
      newestFirst(({ action }) => action === 'session.refused'),
    );
    expect(numbers(await list(['audit', '--action', 'session'], admin))).toEqual(
      newestFirst(({ action }) => action.startsWith('session.')),
    );
    expect(numbers(await list(['audit', '--device', deviceId, '--action', 'device', '--user', 'admin'], admin))).toEqual([]);
  });

  it('shows an admin of a scope the records of that scope, and others none of them', async () => {
    expect(numbers(await list(['audit', '--limit', '1000']))).toEqual(newestFirst(({ owner }) => owner === OWNER));
    expect(numbers(await list(['audit', '--limit', '1000'], keys.operator.key))).toEqual(
      newestFirst(({ owner }) => owner === 'user:operator@example.com'),
    );
    const { code, stderr } = await run(['pi', 'audit'], keys.stranger.key);
    expect(code).toBe(4);
    expect(stderr).toContain('No device “pi”');
  });

  it('goes on page by page, with a cursor or with a limit beyond one page, and leaves nothing out', async () => {
    // More than one page of the API, which has at most 500 records.
    using api = openApi(relay);
    const [first] = bodyOf<{ items: { id: string }[] }>(await api.call('GET', '/v1/devices', { key: keys.owner.key })).items;
    for (let turn = 0; turn < 520; turn += 1) {
      const renamed = await api.call('PATCH', `/v1/devices/${first!.id}`, { key: keys.owner.key, body: { name: `name-${turn}` } });
      expect(renamed.status).toBe(200);
    }
    const expected = newestFirst(({ action }) => action === 'device.renamed');
    expect(expected.length).toBeGreaterThan(520);
    const whole = await list(['audit', '--action', 'device.renamed', '--limit', '2000'], relay.adminKey);
    expect(whole.next).toBeNull();
    expect(numbers(whole)).toEqual(expected);
    const newest = await list(['audit', '--action', 'device.renamed', '--limit', '2'], relay.adminKey);
    const second = await list(['audit', '--action', 'device.renamed', '--limit', '510', '--cursor', newest.next!], relay.adminKey);
    const third = await list(['audit', '--action', 'device.renamed', '--limit', '1000', '--cursor', second.next!], relay.adminKey);
    expect([newest, second, third].flatMap(numbers)).toEqual(expected);
    const hundred = await run(['audit', '--action', 'device.renamed'], relay.adminKey);
    expect(hundred.stdout.trim().split('\n')).toHaveLength(101);
    expect(hundred.stderr).toContain('--cursor');
  });

  it.each([
    ['--since', 'yesterday'],
    ['--until', '2026-02-31T00:00:00Z'],
    ['--limit', '0'],
    ['--cursor', 'nonsense'],
  ])('refuses %s %s', async (option, value) => {
    const { code, stdout } = await run(['pi', 'audit', option, value]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('shows the records of a device that was removed by its whole id', async () => {
    const removed = trail().find(({ action }) => action === 'device.removed')!.device!.id;
    expect(numbers(await list(['audit', '--device', removed]))).toEqual(newestFirst((record) => record.device?.id === removed));
  });
});
