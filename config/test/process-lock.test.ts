import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { acquireProcessLock, withProcessLock } from '../src/process-lock/index.ts';
import { createLockRecord } from '../src/process-lock/lock-record.ts';
import { processStart } from '../src/process-lock/process-start.ts';
import { nodeProcesses } from './node-process.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const startNode = nodeProcesses();
/** A number above the largest that Linux gives to processes. */
const NOBODY = 4_194_305;
const HOLDER = `
  import { acquireProcessLock } from '@towline/config/process-lock';
  const lock = await acquireProcessLock(process.argv[1]);
  console.log('held');
  process.stdin.once('data', async () => { await lock[Symbol.asyncDispose](); console.log('released'); });
`;

/** Writes a lock file with a record of this process, changed in some parts. */
async function putRecord(path: string, parts: object, ageMs = 0) {
  const token = (await createLockRecord()).token;
  put(path, `${JSON.stringify({ ...(await createLockRecord()), token, ...parts })}\n`);
  const then = (Date.now() - ageMs) / 1_000;
  utimesSync(path, then, then);
}

async function isTaken(path: string): Promise<boolean> {
  return acquireProcessLock(path).then(
    async (lock) => {
      await lock[Symbol.asyncDispose]();
      return true;
    },
    (error) => {
      expect(error).toMatchObject({ code: 'data_in_use' });
      return false;
    },
  );
}

describe('a lock of a process', () => {
  test('is held by one at a time and leaves nothing when released', async () => {
    const dir = scratch();
    const path = join(dir, 'relay.lock');
    const lock = await acquireProcessLock(path);
    await expect(acquireProcessLock(path)).rejects.toMatchObject({
      code: 'data_in_use',
      message: `Process ${process.pid} on ${hostname()} uses the folder ${dir}.`,
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await lock[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
    expect(readdirSync(dir)).toEqual([]);
    expect(await isTaken(path)).toBe(true);
  });

  test('of another process is refused with its number while it lives, and free when it is released', async () => {
    const path = join(scratch(), 'relay.lock');
    const holder = startNode(HOLDER, [path]);
    expect(await holder.line()).toBe('held');
    await expect(acquireProcessLock(path)).rejects.toThrow(`Process ${holder.child.pid} on ${hostname()} uses the folder`);
    holder.send('release');
    expect(await holder.line()).toBe('released');
    expect(await isTaken(path)).toBe(true);
  });

  test('of a process that was killed is taken over', async () => {
    const path = join(scratch(), 'relay.lock');
    const holder = startNode(HOLDER, [path]);
    await holder.line();
    await holder.kill();
    expect(existsSync(path)).toBe(true);
    expect(await isTaken(path)).toBe(true);
  });

  test.each([
    ['of a process that is gone', { pid: NOBODY }, true],
    ['of a number that another process has now', { started: '1' }, true],
    ['of a process of unknown start', { started: '' }, false],
    ['of this very process', {}, false],
  ])('%s: taken over is %s', async (_, parts, taken) => {
    const dir = scratch();
    await putRecord(join(dir, 'a.lock'), parts);
    expect(await isTaken(join(dir, 'a.lock'))).toBe(taken);
    expect(readdirSync(dir)).toEqual(taken ? [] : ['a.lock']);
  });

  test.each([
    ['refreshed a moment ago', 1_000, false],
    ['refreshed 14 s ago', 14_000, false],
    ['refreshed 16 s ago', 16_000, true],
    ['of a time to come, as after a power cut on a board without a clock', -3_600_000, true],
  ])('of another machine, %s: taken over is %s', async (_, ageMs, taken) => {
    const path = join(scratch(), 'a.lock');
    // The number is that of a living process here, which must not matter.
    await putRecord(path, { host: 'elsewhere', machine: 'elsewhere' }, ageMs);
    expect(await isTaken(path)).toBe(taken);
  });

  test('that holds no record is somebody about to write it, for 15 s', async () => {
    const path = put(join(scratch(), 'a.lock'), '');
    expect(await isTaken(path)).toBe(false);
    for (const content of ['', '{', '[]', '{"token":"../../x","pid":1}', '{"pid":-1}']) {
      put(path, content);
      utimesSync(path, Date.now() / 1_000 - 16, Date.now() / 1_000 - 16);
      expect(await isTaken(path)).toBe(true);
    }
  });

  test('of a process killed while it took the lock over is taken over too', async () => {
    const dir = scratch();
    const path = join(dir, 'a.lock');
    await putRecord(path, { pid: NOBODY, token: 'a'.repeat(32) });
    await putRecord(`${path}.${'a'.repeat(32)}`, { pid: NOBODY, token: 'b'.repeat(32) });
    await putRecord(`${path}.${'a'.repeat(32)}.${'b'.repeat(32)}`, { pid: NOBODY });
    expect(await isTaken(path)).toBe(true);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('says that it is held by refreshing its file', async () => {
    const path = join(scratch(), 'a.lock');
    await using lock = await acquireProcessLock(path, { refreshMs: 10 });
    utimesSync(path, 0, 0);
    await vi.waitFor(() => expect(Date.now() - statSync(path).mtimeMs).toBeLessThan(10_000), 5_000);
    expect(lock.lost.aborted).toBe(false);
  });

  test.each([
    ['deleted', (path: string) => rmSync(path)],
    ['taken by another machine', (path: string) => put(path, '{"token":"x"}')],
  ])('that was %s is told as lost, and what is there now stays', async (_, lose) => {
    const path = join(scratch(), 'a.lock');
    const lock = await acquireProcessLock(path, { refreshMs: 10 });
    lose(path);
    const left = existsSync(path) && readFileSync(path, 'utf8');
    if (!lock.lost.aborted) await once(lock.lost, 'abort');
    expect(lock.lost.reason).toMatchObject({ code: 'data_in_use' });
    await lock[Symbol.asyncDispose]();
    expect(existsSync(path) && readFileSync(path, 'utf8')).toBe(left);
  });

  test('in a folder that is missing cannot be made, and says so', async () => {
    await expect(acquireProcessLock(join(scratch(), 'none', 'a.lock'))).rejects.toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining('ENOENT'),
    });
  });

  test('does not keep a process alive', async () => {
    const source = `
      import { acquireProcessLock } from '@towline/config/process-lock';
      await acquireProcessLock(process.argv[1]);
    `;
    const holder = startNode(source, [join(scratch(), 'a.lock')]);
    const [code] = await once(holder.child, 'exit', { signal: AbortSignal.timeout(10_000) });
    expect(code).toBe(0);
  });
});

describe('a lock that is waited for', () => {
  test('is got when its holder is done', async () => {
    const path = join(scratch(), 'a.lock');
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3].map((at) =>
        withProcessLock(path, async () => {
          order.push(at);
          await new Promise((resolve) => setImmediate(resolve));
          order.push(at);
        }),
      ),
    );
    expect(order).toHaveLength(6);
    for (const at of [0, 2, 4]) expect(order[at]).toBe(order[at + 1]);
  });

  test('is given up after its deadline, or when the signal aborts', async () => {
    const path = join(scratch(), 'a.lock');
    await using _held = await acquireProcessLock(path);
    const never = () => Promise.reject(new Error('ran without the lock'));
    await expect(withProcessLock(path, never, { deadlineMs: 50 })).rejects.toMatchObject({ code: 'data_in_use' });
    await expect(withProcessLock(path, never, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
    await expect(withProcessLock(path, never, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: expect.stringMatching(/Timeout|Abort/),
    });
  });

  test('is given back when the work fails', async () => {
    const path = join(scratch(), 'a.lock');
    await expect(withProcessLock(path, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(existsSync(path)).toBe(false);
  });
});

describe('the start of a process', () => {
  test('is the same at each look, differs between processes, and is null for none', async () => {
    const own = await processStart(process.pid);
    expect(own).toMatch(/./);
    expect(await processStart(process.pid)).toBe(own);
    expect(await processStart(NOBODY)).toBeNull();
    const child = spawn('sleep', ['60']);
    try {
      expect(await processStart(child.pid!)).not.toBe(own);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test.runIf(process.platform === 'linux')('is null for a zombie, which holds nothing', async () => {
    // The shell becomes sleep, which never asks for its ended child.
    const parent = spawn('sh', ['-c', '(exec sleep 0.3) & echo $!; exec sleep 60']);
    try {
      const [line] = await once(parent.stdout, 'data');
      const zombie = Number(String(line));
      await vi.waitFor(() => expect(readFileSync(`/proc/${zombie}/stat`, 'utf8')).toMatch(/\) Z /), 5_000);
      expect(await processStart(zombie)).toBeNull();
    } finally {
      parent.kill('SIGKILL');
    }
  });
});
