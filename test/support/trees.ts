import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';

/** Numbers from 0 up to and without 1, the same for the same seed. */
export type Dice = (() => number) & { pick<Item>(items: readonly Item[]): Item; below(count: number): number };

/** A small generator of numbers with a seed (mulberry32). */
export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  const roll = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number) => Math.floor(roll() * count);
  return Object.assign(roll, { below, pick: <Item>(items: readonly Item[]) => items[below(items.length)]! });
}

/** Names that are not made for it: spaces, dashes, bytes that are no UTF-8, what looks like a pattern or an option. */
const NAMES = ['a', 'b', 'c', 'A', '-rf', 'two words', '.hidden', '[x]', '*', 'ünï', '\\', '~', 'z'.repeat(255)].map((name) =>
  Buffer.from(name),
);
NAMES.push(Buffer.from([0xff, 0xfe, 0x20, 0x80]), Buffer.from('line\nbreak'), Buffer.from('a.b'), Buffer.from('a-b'));
const SIZES = [0, 1, 10, 3_000, 262_144, 262_145, 1_048_577, 2_500_000];
const MODES = [0o644, 0o600, 0o755, 0o444, 0o640];

const join = (folder: Buffer, name: Buffer) => Buffer.concat([folder, Buffer.from('/'), name]);

/** Every path below a folder, as bytes, parents first. */
export function pathsIn(root: string | Buffer): Buffer[] {
  const folder = Buffer.from(root);
  return (readdirSync(folder, { encoding: 'buffer' }) as unknown as Buffer[])
    .sort(Buffer.compare)
    .flatMap((name) => [join(folder, name), ...(lstatSync(join(folder, name)).isDirectory() ? pathsIn(join(folder, name)) : [])]);
}

/** Differences of times that a number of seconds with a fraction makes, milliseconds. */
const TIME_SLACK_MS = 0.01;

/** A tree as text, one line a path: kind, mode, content; and the times, in milliseconds. */
export function describeTree(root: string): { readonly line: string; readonly mtimeMs: number }[] {
  const from = Buffer.byteLength(root) + 1;
  return pathsIn(root).map((path) => {
    const stats = lstatSync(path);
    const name = path.subarray(from).toString('latin1');
    const mode = (stats.mode & 0o7777).toString(8);
    const line = (text: string) => ({ line: text, mtimeMs: stats.mtimeMs });
    if (stats.isDirectory()) return line(`d ${mode} ${name}`);
    if (stats.isSymbolicLink()) return line(`l ${name} -> ${readlinkSync(path, { encoding: 'buffer' }).toString('latin1')}`);
    return line(`- ${mode} ${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`);
  });
}

/** What differs between two trees: lines with a sign before them. Nothing when they are equal, times too. */
export function differencesOf(left: string, right: string): string[] {
  const [ours, theirs] = [describeTree(left), describeTree(right)];
  const [here, there] = [ours, theirs].map((lines) => new Map(lines.map(({ line, mtimeMs }) => [line, mtimeMs])));
  return [
    ...ours.filter(({ line }) => !there!.has(line)).map(({ line }) => `- ${line}`),
    ...theirs.filter(({ line }) => !here!.has(line)).map(({ line }) => `+ ${line}`),
    ...ours.flatMap(({ line, mtimeMs }) => {
      const other = there!.get(line) ?? mtimeMs;
      return Math.abs(other - mtimeMs) > TIME_SLACK_MS ? [`~ ${line}: ${mtimeMs}, ${other}`] : [];
    }),
  ];
}

/** Does one random thing to a tree: something new, changed, replaced by another kind, renamed or gone. */
export function editTree(root: string, dice: Dice): void {
  const paths = pathsIn(root);
  const folders = [Buffer.from(root), ...paths.filter((path) => lstatSync(path).isDirectory())];
  const place = join(dice.pick(folders), dice.pick(NAMES));
  // Nothing goes into what it is itself in.
  if (paths.length > 0 && dice() < 0.25) return rename(dice.pick(paths), place);
  if (paths.length > 3 && dice() < 0.3) return rmSync(dice.pick(paths), { recursive: true, force: true });
  if (paths.length > 0 && dice() < 0.2) return touch(dice.pick(paths), dice);
  rmSync(place, { recursive: true, force: true });
  make(place, dice);
}

function rename(from: Buffer, to: Buffer): void {
  if (
    Buffer.concat([to, Buffer.from('/')])
      .subarray(0, from.length + 1)
      .equals(Buffer.concat([from, Buffer.from('/')]))
  )
    return;
  if (from.subarray(0, to.length + 1).equals(Buffer.concat([to, Buffer.from('/')]))) return;
  rmSync(to, { recursive: true, force: true });
  renameSync(from, to);
}

function make(path: Buffer, dice: Dice): void {
  const kind = dice();
  if (kind < 0.3) return mkdirSync(path);
  if (kind < 0.45) return symlinkSync(dice.pick(['a', '../b', '/etc/passwd', 'nowhere', '..', Buffer.from([0xff, 0x2f])]), path);
  const content = Buffer.alloc(dice.pick(SIZES), dice.below(256));
  writeFileSync(path, content);
  chmodSync(path, dice.pick(MODES));
  // Clocks of file systems tick some milliseconds apart: two files of one tick and one size would be the same to a sync.
  const time = Math.floor(Date.now() / 1_000) + dice();
  utimesSync(path, time, time);
}

function touch(path: Buffer, dice: Dice): void {
  const stats = lstatSync(path);
  const time = 1_000_000_000 + dice.below(700_000_000) + dice();
  if (stats.isSymbolicLink()) return lutimesSync(path, time, time);
  chmodSync(path, stats.isDirectory() ? dice.pick([0o755, 0o700, 0o750, 0o555]) : dice.pick(MODES));
  if (dice() < 0.5) utimesSync(path, time, time);
}

/** A tree of some things. The same seed makes the same tree, but for times. */
export function growTree(root: string, dice: Dice, edits: number): void {
  mkdirSync(root, { recursive: true });
  for (let done = 0; done < edits; done += 1) editTree(root, dice);
}
