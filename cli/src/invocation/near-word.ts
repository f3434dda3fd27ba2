/** Letters that may differ for a word to count as a slip of the fingers. */
const NEAR = 2;

/** The candidate that a mistyped word probably meant; undefined when none is near. */
export function nearWord(word: string, candidates: readonly string[]): string | undefined {
  // Longer words are no command, and the comparison takes time by the product of the lengths.
  if (word.length > 32) return undefined;
  const ranked = candidates
    .map((candidate) => ({ candidate, letters: differingLetters(word.toLowerCase(), candidate) }))
    .sort((left, right) => left.letters - right.letters);
  const best = ranked[0];
  return best !== undefined && best.letters <= Math.min(NEAR, word.length - 1) ? best.candidate : undefined;
}

/** Letters to insert, remove, replace or swap with their neighbour until one text is the other (optimal string alignment). */
function differingLetters(left: string, right: string): number {
  const rows = [Array.from({ length: right.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= left.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = rows[i - 1]![j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1);
      const swapped = left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1] ? (rows[i - 2]?.[j - 2] ?? Infinity) + 1 : Infinity;
      row.push(Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced, swapped));
    }
    rows.push(row);
  }
  return rows[left.length]![right.length]!;
}
