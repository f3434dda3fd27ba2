import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyHere } from './copy-here.ts';
import { makePlaces } from './peer.ts';
import { syncHere } from './sync-here.ts';

describe('what must not be lost', () => {
  it('is a FIFO or device that is named as the target of a copy, by a file or a link', async () => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(outside, 'tree'));
    writeFileSync(join(outside, 'tree/fifo'), 'x');
    symlinkSync('x', join(outside, 'tree/link'));
    mkdirSync(join(inside, 'tree'));
    for (const name of ['fifo', 'tree/fifo', 'tree/link']) execFileSync('mkfifo', [join(inside, name)]);
    expect(await copyHere(join(outside, 'tree/fifo'), join(inside, 'fifo'))).toEqual([' no_file']);
    expect((await copyHere(join(outside, 'tree'), inside)).sort()).toEqual(['fifo no_file', 'link no_file']);
    for (const name of ['fifo', 'tree/fifo', 'tree/link']) expect(lstatSync(join(inside, name)).isFIFO()).toBe(true);
    expect(readdirSync(inside).sort()).toEqual(['fifo', 'tree']);
  });

  it('is what has a name that only begins like that of a partial file of a sync, also with --delete', async () => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(inside, '.towline-part-studio'));
    writeFileSync(join(inside, '.towline-part-studio/mine'), 'mine');
    writeFileSync(join(inside, '.towline-part-song'), 'mine');
    for (const isDeleting of [false, true]) {
      await syncHere({ source: outside, target: inside, delete: isDeleting });
      expect(readdirSync(inside)).toEqual(['.towline-part-song', '.towline-part-studio']);
      expect(readFileSync(join(inside, '.towline-part-studio/mine'), 'utf8')).toBe('mine');
    }
  });
});
