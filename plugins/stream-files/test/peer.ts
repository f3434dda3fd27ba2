import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { FrameWriter } from '../src/wire/frame-writer.ts';
import { FrameDecoder, type FrameEvent } from '../src/wire/frames.ts';

const PROGRAM = fileURLToPath(new URL('../dist/device/file-program.js', import.meta.url));
const closings: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

/** Two folders: one that is copied to or from, and one that nothing may touch. */
export function makePlaces(): { readonly dir: string; readonly inside: string; readonly outside: string } {
  const dir = mkdtempSync(join(tmpdir(), 'towline-files-'));
  closings.push(() => rmSync(dir, { recursive: true, force: true }));
  const places = { dir, inside: join(dir, 'inside'), outside: join(dir, 'outside') };
  mkdirSync(places.inside);
  mkdirSync(places.outside);
  return places;
}

/** Two ends of a real connection. */
export async function connectPair(): Promise<[Socket, Socket]> {
  const dir = mkdtempSync(join(tmpdir(), 'towline-pair-'));
  const path = join(dir, 's');
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  const near = connect({ path, allowHalfOpen: true });
  const [far] = (await once(server, 'connection')) as [Socket];
  closings.push(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return [near, far];
}

/** A peer that says what it likes, and hears everything. */
export class RawPeer {
  readonly writer: FrameWriter;
  readonly heard: FrameEvent[] = [];
  readonly #decoder = new FrameDecoder();
  #waiting: (() => void)[] = [];
  isOver = false;

  constructor(input: Readable, output: Writable) {
    this.writer = new FrameWriter(output);
    output.on('error', () => {});
    input.on('error', () => this.#wake(true));
    input.on('close', () => this.#wake(true));
    input.on('end', () => this.#wake(true));
    input.on('data', (bytes: Buffer) => {
      for (const frame of this.#decoder.push(bytes)) this.heard.push(frame);
      this.#wake(false);
    });
  }

  /** The messages of a type so far. */
  json(type: number): Record<string, unknown>[] {
    return this.heard
      .filter((frame) => frame.type === type)
      .map(({ payload }) => JSON.parse(payload.toString()) as Record<string, unknown>);
  }

  /** Waits until it heard enough of a type, or the other end is over. */
  async hear(type: number, count = 1): Promise<void> {
    while (!this.isOver && this.heard.filter((frame) => frame.type === type).length < count)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Waits until the other end is over. */
  async over(): Promise<void> {
    while (!this.isOver) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(isOver: boolean): void {
    this.isOver ||= isOver;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** The program of the device half, as a process, with a peer at its other end. */
export function startHelper(body: object): { readonly child: ChildProcess; readonly peer: RawPeer; readonly end: Promise<number | null> } {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(body)], { stdio: ['pipe', 'pipe', 'ignore'] });
  closings.push(() => child.kill('SIGKILL'));
  const end = once(child, 'close').then(([code]) => code as number | null);
  child.stdin.on('error', () => {});
  return { child, peer: new RawPeer(child.stdout, child.stdin), end };
}

/** A stream pair in which everything passes at once, for many short runs. */
export function passThroughs(): { readonly near: Duplexes; readonly far: Duplexes } {
  const [there, back] = [new PassThrough(), new PassThrough()];
  return { near: { input: back, output: there }, far: { input: there, output: back } };
}

/** What one end reads and writes. */
export interface Duplexes {
  readonly input: Duplex;
  readonly output: Duplex;
}

/** Everything in a folder, by path, one character a byte; no link is followed. */
export function allIn(folder: string | Buffer, prefix = ''): string[] {
  const names = (readdirSync(folder, 'buffer') as Buffer[]).sort(Buffer.compare);
  return names.flatMap((name) => {
    const path = Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]);
    const shown = prefix + name.toString('latin1');
    return [shown, ...(lstatSync(path).isDirectory() ? allIn(path, `${shown}/`) : [])];
  });
}

/** Descriptors that a process holds. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process, MiB. */
export function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
