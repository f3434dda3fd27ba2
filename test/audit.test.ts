import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyChain } from '../core/kernel/src/audit/chain.ts';
import { type AuditedSystem, OWNER, openAuditedSystem, type Person } from './support/audited-system.ts';
import { bin } from './support/process.ts';
import { linkClient } from './support/raw-client.ts';
import { eventually } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

const tmux = await hasTmux();
let audited: AuditedSystem;
beforeAll(async () => {
  audited = await openAuditedSystem();
});
afterAll(() => audited?.[Symbol.asyncDispose]());

const inFile = () =>
  readFileSync(audited.file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
const withCommand = (command: readonly string[]) => (record: AuditRecord) =>
  JSON.stringify(record.detail?.command) === JSON.stringify(command);

const user = (name: Person) => ({
  kind: 'user',
  id: `local|${name}@example.com`,
  label: `${name}@example.com`,
  email: `${name}@example.com`,
  provider: 'apikey',
  keyId: audited.keys[name].id,
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
    expect((await audited.run(['pi', 'exec', '-i', '--', ...command], audited.keys.operator.key, 'x'.repeat(1_000))).code).toBe(7);
    const [opened, closed] = await audited.recordsOf(withCommand(command));
    const common = {
      ...inChain,
      actor: user('operator'),
      address: '127.0.0.1',
      device: { id: audited.deviceId, name: 'pi' },
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
    expect((await audited.run(['pi', 'exec', '--', ...command])).code).toBe(143);
    const [, closed] = await audited.recordsOf(withCommand(command));
    expect(closed).toMatchObject({ outcome: 'ok', reason: 'signalled', signal: 'SIGTERM', reportedBy: 'device' });
    expect(closed).not.toHaveProperty('exitCode');
  });

  it.skipIf(!tmux)('of a shell is in the trail without what was typed', async () => {
    await using terminal = await openTerminal(`${bin('towline')} pi shell`, {
      TOWLINE_RELAY: audited.relay.url,
      TOWLINE_TLS_FINGERPRINT: audited.relay.fingerprint,
      TOWLINE_API_KEY: audited.keys.operator.key,
      TOWLINE_CONFIG_DIR: join(audited.system.dir, 'shell-user'),
    });
    await terminal.shows(/sha256:/);
    await terminal.type('echo se""en; exit 3\n');
    await terminal.shows(/^seen$/m);
    await terminal.shows(/ended with 3/);
    const [opened, closed] = await audited.recordsOf(({ protocol }) => protocol === '/shell/1');
    expect(opened).toMatchObject({ actor: user('operator'), device: { id: audited.deviceId }, detail: { term: expect.any(String) } });
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
    ['for a stream that the relay does not offer', 'owner', 'pi', { protocol: '/telnet/1' }, 'stream_not_offered', false],
    ['for a request that is not valid', 'owner', 'pi', { body: { argv: [] } }, 'invalid_request', true],
  ] as const)('is in the trail: %s', async (_what, name, target, opening, code, known) => {
    await using client = await linkClient(audited.relay, audited.keys[name].key);
    expect(await client.open(target, opening)).toBe(code);
    const records = audited.trail().filter(({ session }) => session === client.sessions[0]);
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
        ...(known ? { device: { id: audited.deviceId, name: 'pi' }, owner: OWNER } : {}),
      },
    ]);
  });

  it('by the device itself is opened and closed as refused', async () => {
    await using other = await audited.system.enrolDevice(audited.relay, {
      name: 'refusing',
      email: 'owner@example.com',
      env: {},
      args: ['--run-as', 'no-such-user'],
    });
    const { code, stderr } = await audited.run([other.name, 'exec', '--json', '--', 'true']);
    expect(code).toBe(255);
    const told = (JSON.parse(stderr) as { error: { code: string } }).error.code;
    const [, closed] = await audited.recordsOf((record) => record.device?.name === 'refusing');
    expect(closed).toMatchObject({ outcome: 'refused', reason: told, reportedBy: 'relay' });
  });

  it('because the device is away is in the trail', async () => {
    await using other = await audited.system.enrolDevice(audited.relay, { name: 'away', email: 'owner@example.com' });
    await other[Symbol.asyncDispose]();
    expect((await audited.run(['away', 'exec', '--', 'true'])).code).toBe(255);
    expect(audited.trail().at(-1)).toMatchObject({
      action: 'session.refused',
      reason: 'device_offline',
      device: { name: 'away' },
      owner: OWNER,
    });
  });
});

describe('what is decided', () => {
  it('about a request to enrol is in the trail: asked, approved, fetched', () => {
    const of = audited.trail().filter((record) => record.device?.id === audited.deviceId && record.action.startsWith('device.'));
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
    const rejected = audited.system.startDevice(audited.relay, { name: 'unwanted', email: 'owner@example.com' });
    const { request } = await rejected.event('waiting');
    expect((await audited.run(['devices', 'reject', String(request), '--reason', 'not ours'])).code).toBe(0);
    expect(audited.trail().at(-1)).toMatchObject({
      action: 'device.rejected',
      actor: user('owner'),
      address: '127.0.0.1',
      device: { name: 'unwanted' },
      detail: { request, reason: 'not ours' },
    });
    await using other = await audited.system.enrolDevice(audited.relay, { name: 'passing', email: 'owner@example.com' });
    for (const words of [
      ['devices', 'rename', 'passing', 'passed'],
      ['devices', 'rotate', 'passed'],
      ['devices', 'remove', 'passed'],
    ])
      expect((await audited.run(words)).code).toBe(0);
    await other.program.finished;
    const told = audited.trail().filter(({ action }) => /^device\.(renamed|key_rotated|removed)$/.test(action));
    expect(told.map(({ action, actor, device: on }) => [action, actor.label, on?.name])).toEqual([
      ['device.renamed', 'owner@example.com', 'passed'],
      ['device.key_rotated', 'owner@example.com', 'passed'],
      ['device.removed', 'owner@example.com', 'passed'],
    ]);
  });

  it('about keys by the rescue command is in the trail, and never the key', async () => {
    const { id, key } = await audited.createKey('--email', 'brief@example.com', '--name', 'short life');
    await audited.system.rescue(audited.relay, ['keys', 'revoke', id, '--reason', 'over']);
    const about = audited.trail().filter(({ detail }) => detail?.key === id);
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
    expect(JSON.stringify(audited.trail())).not.toContain(key.slice(-64));
  });
});

describe('the file sink', () => {
  it('has the records of the store, all and in order, with what other processes wrote, in a file for its owner', async () => {
    // The next record of the relay brings along what the rescue command wrote to the store.
    await audited.run(['pi', 'exec', '--', 'true']);
    await audited.recordsOf(withCommand(['true']));
    await eventually(async () => inFile().length === audited.trail().length, 'the file is as long as the store');
    expect(inFile()).toEqual(audited.trail());
    expect(statSync(audited.file).mode & 0o777).toBe(0o600);
  });

  it('and the store hold an unbroken chain, in which a change is noticed', async () => {
    const records = audited.trail();
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
