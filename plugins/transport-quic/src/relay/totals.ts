type Figures = Readonly<Record<string, number>>;

/** Counters over several lives of a process, each of which counts from its own start. */
export interface Totals {
  /** Adds the last figures of a life that is over. */
  close(figures: Figures): void;
  /** The figures of the life that goes on; those that end in `_total` with those of all before. */
  sum(figures: Figures): Figures;
}

/** Makes sums that start at nothing. */
export function totals(): Totals {
  const before = new Map<string, number>();
  const isCounter = ([name]: readonly [string, number]) => name.endsWith('_total');
  return {
    close(figures) {
      for (const [name, value] of Object.entries(figures).filter(isCounter)) before.set(name, (before.get(name) ?? 0) + value);
    },
    sum(figures) {
      const added = [...before].map(([name, value]) => [name, value + (figures[name] ?? 0)] as const);
      return { ...figures, ...Object.fromEntries(added) };
    },
  };
}
