import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const isRoot = process.getuid?.() === 0;
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
/** One folder for each side: they share a disk here. */
let here: string;
let there: string;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  device = await system.enrolDevice(relay);
  [here, there] = [join(system.dir, 'here'), join(system.dir, 'there')];
});
afterAll(() => system[Symbol.asyncDispose]());

let round = 0;
/** Empty folders for one test. */
function folders(): [here: string, there: string] {
  round += 1;
  const both: [string, string] = [join(here, String(round)), join(there, String(round))];
  for (const folder of both) mkdirSync(folder, { recursive: true });
  return both;
}
const cp = (...args: string[]) => system.towline(relay, ['cp', ...args]);
const done = { code: 0, stdout: '', stderr: '' };

/** What a tree is, for comparing: kinds, modes, times, content, names as bytes. */
function describeTree(folder: string): string[] {
  const walk = (path: Buffer, name: string): string[] => {
    const stats = lstatSync(path);
    const time = Math.round(stats.mtimeMs * 100);
    if (stats.isSymbolicLink()) return [`${name} -> ${readlinkSync(path, 'buffer').toString('latin1')} ${time}`];
    const about = `${name} ${(stats.mode & 0o777).toString(8)} ${time}`;
    if (!stats.isDirectory()) return [`${about} ${stats.size} ${readFileSync(path).toString('base64').slice(0, 60)}`];
    const names = (readdirSync(path, 'buffer') as Buffer[]).sort(Buffer.compare);
    const below = names.flatMap((each) => walk(Buffer.concat([path, Buffer.from('/'), each]), `${name}/${each.toString('latin1')}`));
    return [about, ...below];
  };
  return walk(Buffer.from(folder), '');
}

/** A tree with everything that can be copied. */
function makeTree(folder: string): void {
  mkdirSync(join(folder, 'deep/er/still'), { recursive: true });
  mkdirSync(join(folder, 'empty folder'));
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, 'script.sh'), '#!/bin/sh\n', { mode: 0o755 });
  chmodSync(join(folder, 'script.sh'), 0o741);
  writeFileSync(join(folder, 'deep/er/still/large'), Buffer.alloc(3_000_001, 'content '));
  for (let at = 0; at < 300; at += 1) writeFileSync(join(folder, 'deep', `small-${at}`), String(at));
  for (const name of ['line\nbreak', 'tab\t', "it's", '-rf', 'ünï', '\u202eevil', ' ', '$(id)', 'a:b'])
    writeFileSync(join(folder, name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x80])]), 'no UTF-8');
  writeFileSync(join(folder, 'n'.repeat(255)), 'longest');
  symlinkSync('deep/er', join(folder, 'link'));
  symlinkSync('/etc/passwd', join(folder, 'link-out'));
  symlinkSync('nowhere', join(folder, 'dangling'));
  execFileSync('ln', [join(folder, 'script.sh'), join(folder, 'hard')]);
  utimesSync(join(folder, 'empty'), 915_148_800.5, 915_148_800.25);
  lutimesSync(join(folder, 'dangling'), 1_000_000_000, 1_000_000_000);
  chmodSync(join(folder, 'deep/er'), 0o500);
  utimesSync(join(folder, 'deep'), 1_100_000_000, 1_100_000_000);
}

describe('towline cp', () => {
  it('copies a file to the device and back, quietly, with mode and time', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'a'), 'content', { mode: 0o640 });
    utimesSync(join(mine, 'a'), 1_234_567_890.125, 1_234_567_890.125);
    expect(await cp(join(mine, 'a'), `pi:${theirs}/b`)).toMatchObject(done);
    expect(readFileSync(join(theirs, 'b'), 'utf8')).toBe('content');
    expect(await cp(`pi:${theirs}/b`, join(mine, 'c'))).toMatchObject(done);
    expect(statSync(join(mine, 'c'))).toMatchObject({ size: 7, mtimeMs: 1_234_567_890_125 });
    expect(statSync(join(mine, 'c')).mode & 0o777).toBe(0o640);
  });

  it.each(['to the device', 'from the device'])('copies a tree %s: modes, times, links, hard links, names in any bytes', async (way) => {
    const [mine, theirs] = folders();
    makeTree(join(mine, 'tree'));
    const [source, target] =
      way === 'to the device' ? [join(mine, 'tree'), `pi:${theirs}/copy`] : [`pi:${mine}/tree`, join(theirs, 'copy')];
    expect(await cp(source, target)).toMatchObject(done);
    expect(describeTree(join(theirs, 'copy'))).toEqual(describeTree(join(mine, 'tree')));
    expect(statSync(join(theirs, 'copy/hard')).nlink).toBe(1);
  });

  it('goes into a folder that is there, copies the content of one that ends in /., and makes one for a target with a slash', async () => {
    const [mine, theirs] = folders();
    mkdirSync(join(mine, 'src'));
    writeFileSync(join(mine, 'src/f'), 'x');
    expect(await cp(join(mine, 'src'), `pi:${theirs}`)).toMatchObject(done);
    expect(await cp(`${mine}/src/.`, `pi:${theirs}/plain`)).toMatchObject(done);
    expect(await cp(join(mine, 'src/f'), `pi:${theirs}/made/`)).toMatchObject(done);
    expect(await cp(join(mine, 'src'), `pi:${theirs}/new`)).toMatchObject(done);
    expect(['src/f', 'plain/f', 'made/f', 'new/f'].filter((path) => !existsSync(join(theirs, path)))).toEqual([]);
  });

  it('copies several files into one folder, and an unchanged one only by its hash', async () => {
    const [mine, theirs] = folders();
    for (const name of ['a', 'b']) writeFileSync(join(mine, name), name);
    expect(await cp(join(mine, 'a'), join(mine, 'b'), `pi:${theirs}`)).toMatchObject(done);
    writeFileSync(join(mine, 'b'), 'B');
    utimesSync(join(mine, 'b'), statSync(join(theirs, 'b')).mtimeMs / 1_000, statSync(join(theirs, 'b')).mtimeMs / 1_000);
    const { stdout } = await cp('--json', join(mine, 'a'), join(mine, 'b'), `pi:${theirs}`);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string });
    expect(events.filter(({ event }) => event === 'file')).toMatchObject([
      { path: 'a', status: 'same' },
      { path: 'b', status: 'done' },
    ]);
    expect(events.at(-1)).toMatchObject({ event: 'summary', copied: 1, unchanged: 1, failed: 0, bytes: 1 });
    expect(readFileSync(join(theirs, 'b'), 'utf8')).toBe('B');
  });

  it('keeps the holes of a sparse file', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'sparse'), 'begin');
    truncateSync(join(mine, 'sparse'), 64 * 1024 ** 2);
    execFileSync('sh', ['-c', 'printf end >> "$1"', 'sh', join(mine, 'sparse')]);
    expect(await cp(join(mine, 'sparse'), `pi:${theirs}/sparse`)).toMatchObject(done);
    execFileSync('cmp', [join(mine, 'sparse'), join(theirs, 'sparse')]);
    expect(statSync(join(theirs, 'sparse')).blocks * 512).toBeLessThan(1024 ** 2);
  });

  it('reads a path that is relative or begins with ~ from the home folder of the device’s user', async () => {
    const home = execFileSync('sh', ['-c', 'cd ~ && pwd'], { encoding: 'utf8' }).trim();
    const [mine] = folders();
    const name = `.towline-test-${process.pid}`;
    writeFileSync(join(mine, 'f'), 'home');
    try {
      expect(await cp(join(mine, 'f'), `pi:${name}`)).toMatchObject(done);
      expect(readFileSync(join(home, name), 'utf8')).toBe('home');
      expect(await cp(`pi:~/${name}`, join(mine, 'back'))).toMatchObject(done);
      expect(await cp(`device:pi:${name}`, join(mine, 'again'))).toMatchObject(done);
    } finally {
      execFileSync('rm', ['-f', join(home, name)]);
    }
  });

  it('leaves devices, FIFOs and sockets out with a word, and copies the rest', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'file'), 'x');
    execFileSync('mkfifo', [join(mine, 'fifo')]);
    const server = createServer().listen(join(mine, 'sock'));
    const { code, stderr } = await cp(mine, `pi:${theirs}/copy`);
    server.close();
    expect(code).toBe(0);
    expect(stderr.match(/: a device, FIFO or socket; left out/g)).toHaveLength(2);
    expect(readdirSync(join(theirs, 'copy'))).toEqual(['file']);
  });

  it.each([
    ['a source that is not there', (mine: string, theirs: string) => [join(mine, 'no'), `pi:${theirs}`], 4, 'there is no such file'],
    ['a source that is not there on the device', (mine: string, theirs: string) => [`pi:${theirs}/no`, mine], 4, 'there is no such file'],
    ['a target in a folder that is not there', (mine: string, theirs: string) => [mine, `pi:${theirs}/no/no`], 1, 'does not exist'],
    [
      'a file onto a folder of its name',
      (mine: string, theirs: string) => [join(mine, 'name'), `pi:${theirs}`],
      1,
      'there is a folder of that name',
    ],
    ['two devices', () => ['pi:a', 'po:b'], 2, 'from one device to another'],
    ['no device', () => ['a', 'b'], 2, 'Neither side'],
    ['one word', () => ['pi:a'], 2, 'what to copy and where to'],
    ['a device that is unknown', (mine: string) => [mine, 'nothing:x'], 4, 'No device'],
  ])('says what is wrong with %s', async (_what, args, code, text) => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'name'), 'x');
    mkdirSync(join(theirs, 'name'));
    const finished = await cp(...args(mine, theirs));
    expect(finished).toMatchObject({ code, stdout: '' });
    expect(finished.stderr).toContain(text);
  });

  it('takes ./a:b as a path here', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'a:b'), 'colon');
    const { code } = await system.towline(relay, ['cp', './a:b', `pi:${theirs}/`], { cwd: mine });
    expect(code).toBe(0);
    expect(readFileSync(join(theirs, 'a:b'), 'utf8')).toBe('colon');
  });

  it('shows names of the device escaped', async () => {
    const [mine, theirs] = folders();
    mkdirSync(join(theirs, 'x'));
    execFileSync('mkfifo', [join(theirs, 'x/\u001b[2J')]);
    const { stderr } = await cp(`pi:${theirs}/x`, join(mine, 'y'));
    expect(stderr).toContain('\\u{1b}[2J');
    expect(stderr).not.toContain('\u001b');
  });

  it('writes each file into the audit trail, with path, operation and bytes, and the rest of many as a number', async () => {
    const [mine, theirs] = folders();
    mkdirSync(join(mine, 'many'));
    for (let at = 0; at < 250; at += 1) writeFileSync(join(mine, 'many', `f${at}`), 'abc');
    expect(await cp(join(mine, 'many'), `pi:${theirs}/many`)).toMatchObject(done);
    const records = await eventually(async () => {
      const trail = storedTrail(relay.dir);
      const opened = trail.findLast(({ action, detail }) => action === 'session.opened' && detail?.path === `${theirs}/many`);
      const ours = trail.filter(({ session }) => session !== undefined && session === opened?.session);
      return ours.at(-1)?.action === 'session.closed' && ours;
    }, 'the session is in the trail');
    expect(records[0]).toMatchObject({ protocol: '/files/1', detail: { operation: 'write', path: `${theirs}/many` } });
    const notes = records.filter(({ action }) => action === 'session.noted');
    expect(notes).toHaveLength(201);
    expect(notes[0]).toMatchObject({ outcome: 'ok', reportedBy: 'device', detail: { operation: 'write', bytes: 3 } });
    expect(String(notes[0]!.detail!.path)).toMatch(new RegExp(`^${theirs}/many/f\\d+$`));
    expect(notes.at(-1)!.detail).toEqual({ operation: 'write', not_named: 50, failed: 0, bytes: 150 });
    expect(records.at(-1)).toMatchObject({ outcome: 'ok', exitCode: 0 });
  });

  it('names in the audit trail the file that was written, and the one that was read', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'report'), 'abc');
    expect(await cp(join(mine, 'report'), `pi:${theirs}/`)).toMatchObject(done);
    expect(await cp(`pi:${theirs}/report`, join(mine, 'back'))).toMatchObject(done);
    const noted = await eventually(async () => {
      const details = storedTrail(relay.dir).filter(
        ({ action, detail }) => action === 'session.noted' && detail?.path === `${theirs}/report`,
      );
      return details.length === 2 && details.map(({ detail }) => detail);
    }, 'both are in the trail');
    expect(noted).toEqual(['write', 'read'].map((operation) => ({ operation, path: `${theirs}/report`, bytes: 3 })));
  });

  it.runIf(isRoot)('reads and writes as the user of run_as, and no file of root', async () => {
    const name = 'as-nobody';
    const [mine, theirs] = folders();
    for (let folder = system.dir; folder.startsWith('/tmp/'); folder = join(folder, '..')) chmodSync(folder, statSync(folder).mode | 0o055);
    chmodSync(theirs, 0o777);
    await using _device = await system.enrolDevice(relay, { name, args: ['--run-as', 'nobody'] });
    writeFileSync(join(mine, 'f'), 'x');
    expect(await cp(join(mine, 'f'), `${name}:${theirs}/f`)).toMatchObject(done);
    expect(statSync(join(theirs, 'f')).uid).toBe(Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' })));
    mkdirSync(join(mine, 'tree/closed'), { recursive: true });
    writeFileSync(join(mine, 'tree/closed/f'), 'x');
    utimesSync(join(mine, 'tree/closed'), 1_000_000_000, 1_000_000_000);
    chmodSync(join(mine, 'tree/closed'), 0o600);
    expect(await cp(join(mine, 'tree'), `${name}:${theirs}/tree`)).toMatchObject(done);
    expect(statSync(join(theirs, 'tree/closed'))).toMatchObject({ mode: 0o40600, mtimeMs: 1_000_000_000_000 });
    writeFileSync(join(theirs, 'secret'), 'of root', { mode: 0o600 });
    const read = await cp(`${name}:${theirs}/secret`, join(mine, 'stolen'));
    expect(read).toMatchObject({ code: 1, stderr: expect.stringContaining('permission denied') });
    expect(existsSync(join(mine, 'stolen'))).toBe(false);
    const written = await cp(join(mine, 'f'), `${name}:/root/towline-test`);
    expect(written).toMatchObject({ code: 1, stderr: expect.stringContaining('permission denied') });
  });

  it.runIf(isRoot)('says that the disk is full, leaves nothing half-written in place, and copies what fits', async () => {
    const [mine, theirs] = folders();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', theirs]);
    try {
      mkdirSync(join(mine, 'src'));
      writeFileSync(join(mine, 'src/large'), Buffer.alloc(4_000_000, 1));
      writeFileSync(join(mine, 'src/small'), 'fits');
      const { code, stderr } = await cp(join(mine, 'src'), `pi:${theirs}/dst`);
      expect(code).toBe(1);
      expect(stderr).toContain('src/large: no space left on the disk');
      expect(existsSync(join(theirs, 'dst/large'))).toBe(false);
    } finally {
      execFileSync('umount', ['-l', theirs]);
    }
  });

  it.runIf(isRoot)('says that a file system is read-only', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'f'), 'x');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', theirs]);
    try {
      expect(await cp(join(mine, 'f'), `pi:${theirs}/f`)).toMatchObject({ code: 1, stderr: expect.stringContaining('read-only') });
    } finally {
      execFileSync('umount', ['-l', theirs]);
    }
  });

  it('notices that a source is changed while it is copied, and leaves the target as it was', async () => {
    const [mine, theirs] = folders();
    writeFileSync(join(mine, 'log'), Buffer.alloc(30_000_000, 'log'));
    writeFileSync(join(theirs, 'log'), 'as before');
    const program = system.startTowline(relay, ['cp', join(mine, 'log'), `pi:${theirs}/log`]);
    const grow = setInterval(() => writeFileSync(join(mine, 'log'), 'more', { flag: 'a' }), 1);
    const { code, stderr } = await program.finished.finally(() => clearInterval(grow));
    expect(code).toBe(1);
    expect(stderr).toContain('changed while it was copied');
    expect(readFileSync(join(theirs, 'log'), 'utf8')).toBe('as before');
    expect(readdirSync(theirs)).toEqual(['log']);
  });

  it('needs the right of an operator, for reading too', async () => {
    const { stdout } = await system.rescue(relay, [
      'keys',
      'create',
      '--json',
      '--email',
      'v@example.com',
      '--scope',
      'user:admin@example.com',
      '--role',
      'viewer',
    ]);
    const { key } = JSON.parse(stdout) as { key: string };
    const { code, stderr } = await system.towline(relay, ['cp', 'pi:/etc/hostname', system.dir], { key });
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('role operator') });
  });
});

describe('towline DEVICE ls', () => {
  const ls = (...args: string[]) => system.towline(relay, ['pi', 'ls', ...args]);

  it('lists a folder in order, without what begins with a dot, and escapes what a terminal would obey', async () => {
    const [, theirs] = folders();
    for (const name of ['b', 'a', '.hidden', 'x\u001b[31m']) writeFileSync(join(theirs, name), 'x');
    expect(await ls(theirs)).toMatchObject({ code: 0, stdout: 'a\nb\nx\\u{1b}[31m\n' });
    expect((await ls('-a', theirs)).stdout).toBe('.hidden\na\nb\nx\\u{1b}[31m\n');
  });

  it('tells mode, size, time and target with -l, and all of it as JSON', async () => {
    const [, theirs] = folders();
    writeFileSync(join(theirs, 'f'), 'four', { mode: 0o640 });
    utimesSync(join(theirs, 'f'), 1_000_000_000, 1_000_000_000);
    symlinkSync('f', join(theirs, 'l'));
    expect((await ls('-l', theirs)).stdout).toMatch(/^-rw-r----- 1 +\d+ +\d+ 4 2001-09-09 01:46 f\nlrwxrwxrwx .* l -> f\n$/);
    const { items, next } = JSON.parse((await ls('--json', theirs)).stdout) as { items: object[]; next: null };
    expect(next).toBeNull();
    expect(items).toMatchObject([
      { name: 'f', kind: 'file', mode: '0640', size: 4, modified_at: '2001-09-09T01:46:40.000Z' },
      { name: 'l', kind: 'link', target: 'f' },
    ]);
  });

  it('says what is wrong with a path', async () => {
    expect(await ls('/no/such')).toMatchObject({ code: 4, stderr: expect.stringContaining('there is no such file or folder') });
    expect(device.program.child.exitCode).toBeNull();
  });
});
