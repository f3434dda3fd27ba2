import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseForward } from '../src/client/parse-forward.ts';
import { parseAllowPattern } from '../src/target/allow-pattern.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/forward.md'), 'utf8');

it('every command of the page can be understood', () => {
  const commands = [...page.matchAll(/^towline pi forward (.*?)(?: +#.*| &)?$/gm)].map(([, words]) => words!.trim());
  expect(commands.length).toBeGreaterThan(5);
  for (const target of commands) expect(parseForward(target).text).toBe(target);
});

it('every allowed target of the page can be understood', () => {
  const table = page.split('| entry | means |')[1]!.split('\n\n')[0]!;
  const entries = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, entry]) => entry!),
  );
  const lists = [...page.matchAll(/^allow: (\[.*\])$/gm)].flatMap(([, list]) => JSON.parse(list!) as string[]);
  expect(entries.length + lists.length).toBeGreaterThan(10);
  for (const entry of [...entries, ...lists]) expect(parseAllowPattern(entry), entry).toBeTypeOf('object');
});
