import type { AuditRecord, AuditView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditedSystem, OWNER, openAuditedSystem } from './support/audited-system.ts';
import { linkClient } from './support/raw-client.ts';
import { bodyOf, openApi } from './support/relay-api.ts';

let audited: AuditedSystem;
beforeAll(async () => {
  audited = await openAuditedSystem();
  const { run, recordsOf, keys, relay, system } = audited;
  await run(['pi', 'exec', '-i', '--', 'sh', '-c', 'cat; echo to stderr >&2; exit 7'], keys.operator.key, 'x'.repeat(1_000));
  await run(['pi', 'exec', '--', 'sh', '-c', 'kill -TERM $$']);
  await recordsOf(({ detail }) => JSON.stringify(detail).includes('kill'));
  await using stranger = await linkClient(relay, keys.stranger.key);
  await stranger.open('pi');
  await using removed = await system.enrolDevice(relay, { name: 'passing', email: 'owner@example.com' });
  await run(['devices', 'remove', 'passing']);
  await removed.program.finished;
});
afterAll(() => audited?.[Symbol.asyncDispose]());

describe('towline audit', () => {
  const list = async (words: readonly string[], key?: string) => {
    const { code, stdout, stderr } = await audited.run([...words, '--json'], key);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { items: AuditView[]; next: string | null };
  };
  const numbers = ({ items }: { items: readonly AuditView[] }) => items.map(({ number }) => number);
  const newestFirst = (which: (record: AuditRecord) => boolean) =>
    audited
      .trail()
      .filter(which)
      .map(({ number }) => number)
      .reverse();

  it('of a device shows its records with every field, newest first', async () => {
    const { items, next } = await list(['pi', 'audit']);
    expect(next).toBeNull();
    expect(numbers({ items })).toEqual(newestFirst((record) => record.device?.id === audited.deviceId));
    const [, closed] = await audited.recordsOf(({ detail }) => JSON.stringify(detail).includes('to stderr'));
    expect(items.find(({ number }) => number === closed.number)).toEqual({
      number: closed.number,
      at: new Date(closed.at).toISOString(),
      action: 'session.closed',
      outcome: 'ok',
      reason: 'exited',
      actor: { kind: 'user', id: 'local|operator@example.com', label: 'operator@example.com', email: 'operator@example.com' },
      address: '127.0.0.1',
      device: { id: audited.deviceId, name: 'pi' },
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
    const plain = await audited.run(['pi', 'audit', '--action', 'session.closed', '--user', 'operator@example.com']);
    expect(plain.stdout).toMatch(/operator@example\.com +session\.closed +pi +ok \(exited\)/);
    expect(plain.stdout).not.toContain('127.0.0.1');
    const { stdout } = await audited.run(['pi', 'audit', '--details', '--action', 'session.closed', '--user', 'operator@example.com']);
    for (const shown of [
      'by user local|operator@example.com',
      'from 127.0.0.1',
      `device ${audited.deviceId}`,
      '/exec/1',
      '1.0 kB to the device',
      '1.0 kB from it',
      'exit code 7',
      'reported by device',
      'echo to stderr',
    ])
      expect(stdout).toContain(shown);
    expect(stdout).toMatch(/took \d/);
    expect((await audited.run(['pi', 'audit', '--details', '--action', 'session.closed'])).stdout).toContain('signal SIGTERM');
  });

  it('filters by time, user and action', async () => {
    const records = audited.trail();
    const middle = records[Math.floor(records.length / 2)]!.at;
    const at = new Date(middle).toISOString();
    const admin = audited.relay.adminKey;
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
    expect(numbers(await list(['audit', '--device', audited.deviceId, '--action', 'device', '--user', 'admin'], admin))).toEqual([]);
  });

  it('shows an admin of a scope the records of that scope, and others none of them', async () => {
    expect(numbers(await list(['audit', '--limit', '1000']))).toEqual(newestFirst(({ owner }) => owner === OWNER));
    expect(numbers(await list(['audit', '--limit', '1000'], audited.keys.operator.key))).toEqual(
      newestFirst(({ owner }) => owner === 'user:operator@example.com'),
    );
    const { code, stderr } = await audited.run(['pi', 'audit'], audited.keys.stranger.key);
    expect(code).toBe(4);
    expect(stderr).toContain('No device “pi”');
  });

  it('goes on page by page, with a cursor or with a limit beyond one page, and leaves nothing out', async () => {
    // More than one page of the API, which has at most 500 records.
    using api = openApi(audited.relay);
    const [first] = bodyOf<{ items: { id: string }[] }>(await api.call('GET', '/v1/devices', { key: audited.keys.owner.key })).items;
    for (let turn = 0; turn < 520; turn += 1) {
      const renamed = await api.call('PATCH', `/v1/devices/${first!.id}`, {
        key: audited.keys.owner.key,
        body: { name: turn === 519 ? 'pi' : `name-${turn}` },
      });
      expect(renamed.status).toBe(200);
    }
    const expected = newestFirst(({ action }) => action === 'device.renamed');
    expect(expected).toHaveLength(520);
    const whole = await list(['audit', '--action', 'device.renamed', '--limit', '2000'], audited.relay.adminKey);
    expect(whole.next).toBeNull();
    expect(numbers(whole)).toEqual(expected);
    const newest = await list(['audit', '--action', 'device.renamed', '--limit', '2'], audited.relay.adminKey);
    const second = await list(['audit', '--action', 'device.renamed', '--limit', '510', '--cursor', newest.next!], audited.relay.adminKey);
    const third = await list(['audit', '--action', 'device.renamed', '--limit', '1000', '--cursor', second.next!], audited.relay.adminKey);
    expect([newest, second, third].flatMap(numbers)).toEqual(expected);
    const hundred = await audited.run(['audit', '--action', 'device.renamed'], audited.relay.adminKey);
    expect(hundred.stdout.trim().split('\n')).toHaveLength(101);
    expect(hundred.stderr).toContain('--cursor');
  });

  it.each([
    ['--since', 'yesterday'],
    ['--until', '2026-02-31T00:00:00Z'],
    ['--limit', '0'],
    ['--cursor', 'nonsense'],
  ])('refuses %s %s', async (option, value) => {
    const { code, stdout } = await audited.run(['pi', 'audit', option, value]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('shows the records of a device that was removed by its whole id', async () => {
    const removed = audited.trail().find(({ action }) => action === 'device.removed')!.device!.id;
    expect(numbers(await list(['audit', '--device', removed]))).toEqual(newestFirst((record) => record.device?.id === removed));
  });
});
