import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { boundedLines } from '../src/device/note-files.ts';

async function linesOf(...chunks: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of boundedLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) lines.push(line);
  return lines;
}

it('lines come whole, however they are cut', async () => {
  expect(await linesOf('one\ntw', 'o', '\n', '\nthr', 'ee')).toEqual(['one', 'two', '', 'three']);
});

it('a line without an end is held to a bound, and spoils none behind it', async () => {
  const [long, next] = await linesOf(...Array.from({ length: 100 }, () => 'x'.repeat(10_000)), '\nnext\n');
  expect(long).toBe('x'.repeat(65_536));
  expect(next).toBe('next');
});
