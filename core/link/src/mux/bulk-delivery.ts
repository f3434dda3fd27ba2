/** Links of this process that hold what has arrived and was not handed on. */
const waiting = new Set<() => void>();

/** Has a link hand on what it holds when all that the system has ready was read. */
export function deliverSoon(deliver: () => void): void {
  if (waiting.size === 0) setImmediate(deliverWaiting);
  waiting.add(deliver);
}

/** Has all links hand on what they hold. */
export function deliverWaiting(): void {
  for (const deliver of waiting) {
    waiting.delete(deliver);
    deliver();
  }
}
