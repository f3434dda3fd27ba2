import { damagedFile, MAX_LINE_BYTES } from './format.ts';

/** One line with its line feed. */
export interface Line {
  readonly number: number;
  readonly bytes: Buffer;
  /** False for a rest at the end of the input that no line feed follows. */
  readonly whole: boolean;
}

const LINE_FEED = 0x0a;

/** Lines of an input. Only a line feed ends one. @throws TowlineError `file_damaged` for one that is too long. */
export async function* splitLines(input: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let [number, parts, length]: [number, Buffer[], number] = [1, [], 0];
  const take = (whole: boolean): Line => {
    const line = { number, bytes: Buffer.concat(parts), whole };
    [number, parts, length] = [number + 1, [], 0];
    return line;
  };
  for await (const chunk of input) {
    let begin = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, begin)) {
      parts.push(chunk.subarray(begin, end + 1));
      begin = end + 1;
      yield take(true);
    }
    parts.push(chunk.subarray(begin));
    length += chunk.length - begin;
    if (length > MAX_LINE_BYTES)
      throw damagedFile(`Line ${number} is longer than ${MAX_LINE_BYTES} bytes: the file is damaged, or no export.`);
  }
  if (length > 0) yield take(false);
}
