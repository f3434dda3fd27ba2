import { mix } from './random.mjs';

const FATES = ['passed', 'lost', 'lost in a burst'];

/** How many decisions all flows together may still keep, so that a long run does not fill the memory. */
export function createRecordBudget(limit) {
  let left = limit;
  return { take: () => left > 0 && (left -= 1) >= 0, give: (count) => (left += count) };
}

/** Keeps the first decisions of one flow in one direction, and a digest of all of them. */
export function createRecord({ flow, direction, budget }) {
  const first = [];
  let count = 0;
  let digest = 0;
  return {
    add(decision) {
      count += 1;
      digest = fold(digest, decision);
      if (first.length === count - 1 && budget.take()) first.push(decision);
    },
    read: () => ({ flow, direction, count, digest: digest >>> 0, first: [...first] }),
    forget: () => budget.give(first.length),
  };
}

function fold(digest, { fate, jitterMs, holdMs, copies, corruption }) {
  let next = mix(digest ^ (FATES.indexOf(fate) * 4 + copies));
  next = mix(next ^ Math.round(jitterMs * 1_000));
  next = mix(next ^ Math.round(holdMs * 1_000));
  return corruption === null ? next : mix(next ^ (Math.floor(corruption.place * 2 ** 24) * 256 + corruption.bits));
}

/**
 * Where two runs decided differently, in words; null where they did not. Runs may differ in length: what both have is
 * compared, and the digests too where the counts are equal.
 */
export function findDifference(one, other) {
  for (const mine of one) {
    const theirs = other.find(({ flow, direction }) => flow === mine.flow && direction === mine.direction);
    if (theirs === undefined) continue;
    const place = `flow ${mine.flow} ${mine.direction}`;
    const index = mine.first.findIndex((decision, at) => at < theirs.first.length && !isSame(decision, theirs.first[at]));
    if (index >= 0) return `${place}, packet ${index + 1}: ${JSON.stringify(mine.first[index])} and ${JSON.stringify(theirs.first[index])}`;
    if (mine.count === theirs.count && mine.digest !== theirs.digest) return `${place}: differ after packet ${mine.first.length}`;
  }
  return null;
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
