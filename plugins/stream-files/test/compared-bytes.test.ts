import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TransferObserver } from '../src/observer.ts';
import { receiveFiles } from '../src/receive/receive-files.ts';
import { openTarget } from '../src/receive/target.ts';
import { sendFiles } from '../src/send/send-files.ts';
import { openSource } from '../src/send/source.ts';
import { partialName, partialStem } from '../src/tree/names.ts';
import { makePlaces, passThroughs } from './peer.ts';

const MIB = 1_048_576;
const SIZE = 20 * MIB;

type Counted = readonly { readonly count: number; readonly kind: 'moved' | 'same' }[];

/** Copies `source` into a folder. Answers what each end told of bytes. */
async function copyCounted(source: string, into: string): Promise<readonly Counted[]> {
  const { near, far } = passThroughs();
  const told: { count: number; kind: 'moved' | 'same' }[][] = [[], []];
  const [sent, received] = told.map((list): TransferObserver => ({ onBytes: (count, kind) => void list.push({ count, kind }) }));
  const opened = await openSource(source, Buffer.from('file'));
  const sending = sendFiles({ ...near, source: opened, count: false, observer: sent! });
  const receiving = receiveFiles({ ...far, target: await openTarget(into, false), observer: received! });
  await Promise.all([sending.then(() => near.output.end()), receiving]);
  return told;
}

const sum = (told: Counted, kind?: 'moved' | 'same') =>
  told.filter((each) => kind === undefined || each.kind === kind).reduce((bytes, { count }) => bytes + count, 0);

describe('bytes of a file of which something is there', () => {
  it.each([
    { what: 'a part that is right', there: 12 * MIB, isDamaged: false, isWhole: false, moved: SIZE - 12 * MIB },
    { what: 'a part with a wrong block', there: 12 * MIB, isDamaged: true, isWhole: false, moved: SIZE - 11 * MIB },
    { what: 'all of it', there: SIZE, isDamaged: false, isWhole: true, moved: 0 },
    { what: 'another file of its size and time', there: SIZE, isDamaged: true, isWhole: true, moved: SIZE },
  ])('are told while they are compared, and come to its size in the end: $what', async ({ there, isDamaged, isWhole, moved }) => {
    const { inside, outside } = makePlaces();
    const source = join(outside, 'file');
    writeFileSync(source, randomBytes(SIZE));
    utimesSync(source, 1_000_000_000, 1_000_000_000);
    const part = readFileSync(source).subarray(0, there);
    if (isDamaged) part[there - 1]! ^= 0xff;
    const partial = partialName(partialStem(Buffer.from('file'), { size: SIZE, mtime: statSync(source).mtimeMs }));
    const name = join(inside, isWhole ? 'file' : partial.toString());
    writeFileSync(name, part, { mode: 0o600 });
    utimesSync(name, 1_000_000_000, 1_000_000_000);
    for (const told of await copyCounted(source, inside)) {
      expect(sum(told)).toBe(SIZE);
      expect(sum(told, 'moved')).toBe(moved);
      // Block by block, not all at its end.
      expect(told.filter(({ kind, count }) => kind === 'same' && count === MIB).length).toBeGreaterThanOrEqual(11);
    }
    expect(readFileSync(join(inside, 'file')).equals(readFileSync(source))).toBe(true);
  });
});

describe('an empty file that is there already', () => {
  it('is not replaced', async () => {
    const { inside, outside } = makePlaces();
    for (const dir of [outside, inside]) {
      writeFileSync(join(dir, 'file'), '');
      utimesSync(join(dir, 'file'), 1_000_000_000, 1_000_000_000);
    }
    const { ino } = statSync(join(inside, 'file'));
    await copyCounted(join(outside, 'file'), inside);
    expect(statSync(join(inside, 'file')).ino).toBe(ino);
  });
});
