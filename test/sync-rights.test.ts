import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';
import { differencesOf } from './support/trees.ts';

const isRoot = process.getuid?.() === 0;
/** Each case runs several programs, which a machine under load takes its time for. */
vi.setConfig({ testTimeout: 120_000 });

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

const sync = (...args: readonly string[]) => system.towline(relay, ['sync', ...args]);

let count = 0;
function places(): { source: string; target: string } {
  count += 1;
  const [source, target] = [join(system.dir, `source-${count}`), join(system.dir, `target-${count}`)];
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'sub', 'file'), 'content');
  return { source, target };
}

/** What the files of a device's last sessions were noted with. */
async function noted(device: string, enough: number): Promise<Record<string, unknown>[]> {
  return eventually(async () => {
    const { stdout } = await system.towline(relay, [device, 'audit', '--json', '--action', 'session.noted', '--limit', '50']);
    const details = (JSON.parse(stdout) as { items: { detail: Record<string, unknown> }[] }).items.map(({ detail }) => detail);
    return details.length >= enough && details;
  }, 'the notes are in the trail');
}

describe('towline sync', () => {
  it('writes what it sent and what it deleted into the audit trail, and nothing of a dry run', async () => {
    const { source, target } = places();
    mkdirSync(join(target, 'extra'), { recursive: true });
    writeFileSync(join(target, 'extra', 'file'), 'x');
    expect((await sync('--delete', '--dry-run', source, `pi:${target}`)).code).toBe(0);
    expect((await sync('--delete', source, `pi:${target}`)).code).toBe(0);
    const details = await noted('pi', 3);
    expect(details.map(({ operation, path, bytes }) => ({ operation, path, bytes })).reverse()).toEqual([
      { operation: 'sync_write', path: `${target}/sub/file`, bytes: 7 },
      { operation: 'delete', path: `${target}/extra/file`, bytes: 0 },
      { operation: 'delete', path: `${target}/extra`, bytes: 0 },
    ]);
    const { stdout } = await system.towline(relay, ['pi', 'audit', '--json', '--action', 'session.opened']);
    const opened = (JSON.parse(stdout) as { items: { detail: Record<string, unknown> }[] }).items.map(({ detail }) => detail);
    expect(opened[0]).toMatchObject({ operation: 'sync_write', path: target, delete: true, dry_run: false });
    expect(opened[1]).toMatchObject({ operation: 'sync_write', path: target, delete: true, dry_run: true });
  });

  it.runIf(isRoot)(
    'works as the user of run_as, in read-only folders of that user too; what cannot be read keeps all that the source lacks',
    async () => {
      const { source, target } = places();
      for (let folder = system.dir; folder.startsWith('/tmp/'); folder = join(folder, '..'))
        chmodSync(folder, statSync(folder).mode | 0o055);
      mkdirSync(target);
      chmodSync(target, 0o777);
      await using _device = await system.enrolDevice(relay, { name: 'as-nobody', args: ['--run-as', 'nobody'] });
      const there = `as-nobody:${target}`;
      chmodSync(join(source, 'sub'), 0o555);
      expect(await sync('--delete', source, there)).toMatchObject({ code: 0 });
      writeFileSync(join(source, 'sub', 'other'), 'more');
      rmSync(join(source, 'sub', 'file'));
      expect(await sync('--delete', source, there)).toMatchObject({ code: 0 });
      expect(differencesOf(source, target)).toEqual([]);

      writeFileSync(join(target, 'of-root'), 'x', { mode: 0o600 });
      const back = join(system.dir, 'back');
      mkdirSync(back);
      writeFileSync(join(back, 'extra'), 'x');
      const read = await sync('--delete', there, back);
      expect(read).toMatchObject({ code: 1, stderr: expect.stringContaining('of-root: permission denied') });
      expect(read.stderr).toContain('What the source lacks was not deleted');
      expect(readdirSync(back).sort()).toEqual(['extra', 'sub']);
      rmSync(join(target, 'of-root'));
      expect(await sync('--delete', there, back)).toMatchObject({ code: 0 });
      expect(existsSync(join(back, 'extra'))).toBe(false);

      mkdirSync(join(target, 'closed', 'deep'), { recursive: true });
      const refused = await sync('--delete', source, there);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/closed\/deep: (permission denied|not permitted)/) });
      expect(existsSync(join(target, 'closed', 'deep'))).toBe(true);
    },
  );

  it('refuses options that do not go together, words that name no device, and patterns that are too many', async () => {
    const { source, target } = places();
    const cases = [
      [[source, target], 'Neither side is on a device'],
      [[source, `pi:${target}`, `pi:${target}2`], 'One folder is made like one other'],
      [[`pi:${source}`, `pi:${target}`], 'not copied from one device to another'],
      [['--dry-run', '--watch', source, `pi:${target}`], 'cannot be used together'],
      [['--dry-run', '--checksum', source, `pi:${target}`], 'cannot be used together'],
      [['--exclude', 'a\nb', source, `pi:${target}`], 'a pattern is one line'],
      [[...Array.from({ length: 300 }, () => '--exclude=x'), source, `pi:${target}`], 'patterns cannot be used'],
    ] as const;
    for (const [args, text] of cases) expect(await sync(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(text) });
    const missing = await sync('--exclude-from', join(source, 'nowhere'), source, `pi:${target}`);
    expect(missing).toMatchObject({ code: 4, stderr: expect.stringContaining('no such file') });
    expect(existsSync(target)).toBe(false);
  });
});
