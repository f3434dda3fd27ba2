/** Packets on their way, handed out in the order of their arrival times; those of the same moment in the order they were added. A binary heap. */
export function createDelayLine() {
  const heap = [];
  let added = 0;
  const isBefore = (one, other) => one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
  return {
    get size() {
      return heap.length;
    },
    /** When the next packet is due; null when none is on its way. */
    nextDueMs: () => heap[0]?.dueMs ?? null,
    add(dueMs, item) {
      const entry = { dueMs, order: (added += 1), item };
      let at = heap.push(entry) - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!isBefore(entry, heap[parent])) break;
        heap[at] = heap[parent];
        at = parent;
      }
      heap[at] = entry;
    },
    /** Takes the next packet off; undefined when none is on its way. */
    take() {
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || heap.length === 0) return first;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child += 1;
        if (!isBefore(heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = last;
      return first;
    },
  };
}
