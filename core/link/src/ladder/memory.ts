/** What is known of the ways to a relay. */
export interface RememberedWay {
  /** Transport of the last link that the relay took up. */
  readonly transport: string;
  /** Why better ones were not used, as sentences, by their names. */
  readonly reasons: Readonly<Record<string, string>>;
}

/** Keeps what is known of the ways to relays from one run of a program to the next. Losing it costs only time. */
export interface LadderMemory {
  /** What is known of a relay, by its origin; undefined for nothing. Never rejects. */
  recall(relay: string): Promise<RememberedWay | undefined>;
  /** Replaces what is known of a relay. Never rejects. */
  remember(relay: string, way: RememberedWay): Promise<void>;
}

/** A memory that lasts as long as the process. */
export function createProcessMemory(): LadderMemory {
  const ways = new Map<string, RememberedWay>();
  return {
    recall: async (relay) => ways.get(relay),
    async remember(relay, way) {
      ways.set(relay, way);
    },
  };
}
