import { createHash } from 'node:crypto';

/** An export of a store made of these lines, with a last line that is right for them. */
export function sealed(lines: readonly string[]): string {
  const text = `${lines.join('\n')}\n`;
  const counts: Record<string, number> = {};
  for (const line of lines.slice(1)) {
    const { kind } = JSON.parse(line) as { kind: string };
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return `${text}${JSON.stringify({ counts, sha256: createHash('sha256').update(text).digest('hex') })}\n`;
}
