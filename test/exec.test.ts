import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

const exec = (args: readonly string[], options = {}) => system.towline(relay, ['pi', 'exec', ...args], options);

describe('towline DEVICE exec', () => {
  it('keeps stdout and stderr apart and passes the exit code on', async () => {
    const { code, stdout, stderr } = await exec(['--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect({ code, stdout, stderr }).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  it('half-closes: what is piped in is seen to end', async () => {
    const { code, stdout } = await exec(['-i', '--', 'cat'], { stdin: 'x\n' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'x\n' });
  });

  it('passes each word of the command unsplit', async () => {
    const words = ['two words', "it's", '"q"', '$HOME', '*', '', 'line\nbreak', '-t', '--json', 'ünï'];
    const { stdout } = await exec(['--', 'sh', '-c', 'for w in "$@"; do printf "[%s]" "$w"; done', 'argv0', ...words]);
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(''));
  });

  it.each([
    ['an exit code of 0', 'true', 0],
    ['an exit code of 255', 'exit 255', 255],
    ['a program that does not exist', 'exec /no/such/program', 127],
    ['a death by SIGKILL', 'kill -9 $$', 137],
    ['a death by SIGTERM', 'kill -15 $$', 143],
  ])('passes on %s', async (_what, script, code) => {
    expect((await exec(['--', 'sh', '-c', script])).code).toBe(code);
  });

  it('carries 64 MiB of random bytes to the device and back without a wrong one', async () => {
    const bytes = randomBytes(64 * 1024 * 1024);
    const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    const program = system.startTowline(relay, ['pi', 'exec', '-i', '--', 'cat'], { stdin: 'pipe', ownStdout: true });
    program.child.stdin!.end(bytes);
    const received = createHash('sha256');
    program.child.stdout!.on('data', (chunk: Buffer) => received.update(chunk));
    expect((await program.finished).code).toBe(0);
    expect(received.digest('hex')).toBe(digest(bytes));
  });

  it('ends the whole process group on the device when the user interrupts it', async () => {
    const mark = `towline-mark-${process.pid}`;
    const program = system.startTowline(relay, ['pi', 'exec', '--', 'sh', '-c', `bash -c 'exec -a ${mark} sleep 300' & sleep 300; :`]);
    const marked = async () => (await system.towline(relay, ['pi', 'exec', '--', 'pgrep', '-fx', `${mark} 300`])).stdout.trim();
    await eventually(marked, 'the command runs');
    program.child.kill('SIGTERM');
    await program.finished;
    await eventually(async () => (await marked()) === '', 'the command and its children are gone');
  });

  it.each([
    ['tls', 1024, 64],
    // Moving packets, the heap of a runtime becomes 70 MiB larger and stays so, whatever passes through it.
    ['quic', 256, 96],
  ] as const)(
    'over %s, holds %i MiB of output behind a slow reader in less than %i MiB: on the relay, its edge and the device',
    async (transport, sizeMiB, littleMiB) => {
      const name = `by-${transport}`;
      await using device = await system.enrolDevice(relay, { name, args: ['--transport', transport] });
      const edge = (JSON.parse(readFileSync(join(relay.dir, 'quic-edge.json'), 'utf8')) as { pid: number }).pid;
      const zeros = (mebibytes: number) => [name, 'exec', '--', 'head', '-c', String(mebibytes * 1024 ** 2), '/dev/zero'];
      // All have done such work before they are measured.
      expect((await system.towline(relay, zeros(16))).code).toBe(0);
      const pids = { relay: relay.program.pid, edge, device: device.program.pid };
      const measure = () => Object.entries(pids).map(([which, pid]) => [which, residentMiB(pid)] as const);
      const before = new Map(measure());
      const grown = new Map<string, number>();
      const look = () => {
        for (const [which, nowMiB] of measure()) grown.set(which, Math.max(grown.get(which) ?? 0, nowMiB - before.get(which)!));
      };
      const program = system.startTowline(relay, zeros(sizeMiB), { ownStdout: true });
      const output = program.child.stdout!;
      let received = 0;
      for (let pause = 0; pause < 20; pause += 1) {
        await new Promise((later) => setTimeout(later, 50));
        look();
        received += (output.read() as Buffer | null)?.length ?? 0;
      }
      output.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received % (64 * 1024 * 1024) < chunk.length) look();
      });
      expect((await program.finished).code).toBe(0);
      expect(received).toBe(sizeMiB * 1024 ** 2);
      for (const [which, mebibytes] of grown) expect(mebibytes, which).toBeLessThan(littleMiB);
    },
    120_000,
  );

  it('says 255 and why when the failure is ours', async () => {
    const { code, stderr } = await system.towline(relay, ['nothing', 'exec', '--', 'true']);
    expect(code).toBe(255);
    expect(stderr).toContain('No device “nothing”');
  });
});

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
