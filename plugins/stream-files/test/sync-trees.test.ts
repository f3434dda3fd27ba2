import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createDice, differencesOf, editTree, growTree } from '../../../test/support/trees.ts';
import { syncHere } from './sync-here.ts';

const dir = mkdtempSync(join(tmpdir(), 'towline-sync-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a sync', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'makes any tree like any other, again and again while the source is edited (seed %i)',
    async (seed) => {
      const dice = createDice(seed);
      const [source, target] = [join(dir, `s${seed}`), join(dir, `t${seed}`)];
      growTree(source, dice, 25);
      growTree(target, dice, dice.below(2) * 20);
      for (let run = 0; run < 4; run += 1) {
        const did = await syncHere({ source, target, delete: true });
        expect(did.failures).toEqual([]);
        expect(differencesOf(source, target)).toEqual([]);
        const again = await syncHere({ source, target, delete: true });
        expect({ sent: again.sent, removed: again.removed, failures: again.failures }).toEqual({ sent: [], removed: [], failures: [] });
        for (let edit = 0; edit < 6; edit += 1) editTree(source, dice);
      }
    },
  );
});
