import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isSameRoot, rootOf } from '../src/tree/root-identity.ts';
import { makePlaces } from './peer.ts';

/** Longer than a tick of the clock of a file system. */
const TICK_MS = 20;

describe('which folder a root is', () => {
  it('is the same while it is that folder, whatever happens in it, and another one when it was made anew, under the same number too', async (context) => {
    const { inside } = makePlaces();
    const path = join(inside, 'root');
    mkdirSync(path);
    for (let round = 0; round < 20; round += 1) {
      const before = statSync(path);
      if (before.birthtimeMs === 0) return context.skip();
      await pause(TICK_MS);
      mkdirSync(join(path, 'sub'));
      rmdirSync(join(path, 'sub'));
      expect(isSameRoot(rootOf(before), rootOf(statSync(path)))).toBe(true);
      rmdirSync(path);
      mkdirSync(path);
      expect(isSameRoot(rootOf(before), rootOf(statSync(path)))).toBe(false);
    }
  });

  it('does not depend on the number of its device over a restart of the system, and does before', () => {
    expect(isSameRoot('7 1000 41 a-b', '7 1000 42 c-d')).toBe(true);
    expect(isSameRoot('7 1000 41 a-b', '7 1000 42 a-b')).toBe(false);
    expect(isSameRoot('7 1000 41 a-b', '8 1000 41 c-d')).toBe(false);
    expect(isSameRoot('7 1000 41 a-b', '7 1001 41 c-d')).toBe(false);
  });
});
