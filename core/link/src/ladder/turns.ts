import type { DialTransport } from '@towline/contract';

/** Head start of a rung over the next, milliseconds: a round trip to the other side of the world, and little to wait. */
const HEAD_START_MS = 300;
/**
 * Head start of the rung that worked the last time, milliseconds: time for a slow handshake, so that the others stay
 * out of it, and short enough that a device that moved to another network is back soon.
 */
const REMEMBERED_HEAD_START_MS = 2_000;

/** A rung that has its turn. */
export interface Turn {
  readonly transport: DialTransport;
  /** How long it is alone before the next begins beside it, milliseconds. */
  readonly headStartMs: number;
}

/** What the order goes by. */
export interface TurnOptions {
  /** Best first. */
  readonly rungs: readonly DialTransport[];
  /** Rung that worked the last time. */
  readonly remembered?: string | undefined;
  /** Rungs whose last link was of no use. */
  readonly shunned?: ReadonlySet<string>;
}

/**
 * The order in which rungs are tried: the best first. A worse one that worked the last time goes before them, which
 * begin only when it fails or takes long; those whose last link was of no use come last.
 */
export function planTurns({ rungs, remembered, shunned = new Set() }: TurnOptions): Turn[] {
  const good = rungs.filter(({ name }) => !shunned.has(name));
  const first = good.slice(1).filter(({ name }) => name === remembered);
  return [
    ...first.map((transport) => ({ transport, headStartMs: REMEMBERED_HEAD_START_MS })),
    ...[...good.filter((rung) => !first.includes(rung)), ...rungs.filter(({ name }) => shunned.has(name))].map((transport) => ({
      transport,
      headStartMs: HEAD_START_MS,
    })),
  ];
}
