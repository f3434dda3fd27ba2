import type { DialRequest, DialTransport, Link } from '@towline/contract';
import type { LadderMemory, RememberedWay } from './memory.ts';
import { raceRungs } from './race.ts';
import { describeRungs, describeSilence, reachedByNone } from './rung-text.ts';
import { planTurns, type Turn } from './turns.ts';

/** What is said of a better rung that the remembered one left no turn, until it is tried in the background. */
const UNTRIED = 'not tried yet, since another transport worked the last time.';

/** What a ladder is made of. */
export interface LadderOptions {
  readonly relay: URL;
  /** Ways to make a link, best first; at least one, with different names. */
  readonly rungs: readonly DialTransport[];
  readonly memory: LadderMemory;
}

/** What a rung is asked to dial with. */
export type LadderRequest = Omit<DialRequest, 'relay'>;

/** A link, and how it came about. */
export interface LadderLink {
  readonly link: Link;
  /** Name of its transport. */
  readonly transport: string;
  /** Why no better one is used, in plain sentences for people, up to 300 characters; absent on the best. */
  readonly note?: string;
}

/** The transports by which one relay can be reached, best first. */
export interface Ladder {
  /**
   * Dials by the best transport that works; see {@link planTurns} for their order.
   * @throws TowlineError what the relay itself answered; when no transport reaches it, the code of the most telling
   * failure with what each of them said; or the reason of the signal.
   */
  dial(request: LadderRequest): Promise<LadderLink>;
  /** Whether there is a better transport than this. */
  hasBetter(transport: string): boolean;
  /** Dials by better transports than this only. @throws TowlineError as `dial`. */
  dialBetter(transport: string, request: LadderRequest): Promise<LadderLink>;
  /** Why no better transport than this is used, as far as that is known now. */
  noteOf(transport: string): string | undefined;
  /** The relay took up a link of this transport: it is remembered. */
  confirm(transport: string): Promise<void>;
  /** A link of this transport came up and was of no use, for the reason given: the others go before it the next time. */
  shun(transport: string, reason: string): void;
}

/** Makes the ladder of one relay. */
export function createLadder(options: LadderOptions): Ladder {
  return new RelayLadder(options);
}

class RelayLadder implements Ladder {
  readonly #options: LadderOptions;
  readonly #shunned = new Set<string>();
  readonly #reasons = new Map<string, string>();
  #remembered: string | undefined;
  #recalled: Promise<void> | undefined;
  #stored = '';

  constructor(options: LadderOptions) {
    this.#options = options;
  }

  async dial(request: LadderRequest): Promise<LadderLink> {
    this.#recalled ??= this.#recall();
    await this.#recalled;
    const { rungs } = this.#options;
    return this.#climb(planTurns({ rungs, remembered: this.#remembered, shunned: this.#shunned }), request);
  }

  hasBetter(transport: string): boolean {
    return this.#betterThan(transport).length > 0;
  }

  dialBetter(transport: string, request: LadderRequest): Promise<LadderLink> {
    return this.#climb(planTurns({ rungs: this.#betterThan(transport) }), request);
  }

  noteOf(transport: string): string | undefined {
    const better = this.#betterThan(transport).map(({ name }) => [name, this.#reasons.get(name) ?? UNTRIED] as const);
    return better.length === 0 ? undefined : describeRungs(better);
  }

  async confirm(transport: string): Promise<void> {
    this.#shunned.delete(transport);
    this.#reasons.delete(transport);
    this.#remembered = transport;
    await this.#store({ transport, reasons: Object.fromEntries(this.#reasons) });
  }

  shun(transport: string, reason: string): void {
    this.#shunned.add(transport);
    this.#reasons.set(transport, reason);
  }

  async #climb(turns: readonly Turn[], request: LadderRequest): Promise<LadderLink> {
    const { relay } = this.#options;
    const { won, failures, passedOver } = await raceRungs(turns, { ...request, relay });
    for (const [name, { message }] of failures) this.#reasons.set(name, message);
    for (const name of passedOver) this.#reasons.set(name, describeSilence(name, relay));
    if (won === null) throw reachedByNone(relay, failures);
    const note = this.noteOf(won.transport);
    return { ...won, ...(note === undefined ? {} : { note }) };
  }

  /** Of an unknown transport nothing is better. */
  #betterThan(transport: string): readonly DialTransport[] {
    const { rungs } = this.#options;
    return rungs.slice(
      0,
      Math.max(
        0,
        rungs.findIndex(({ name }) => name === transport),
      ),
    );
  }

  async #recall(): Promise<void> {
    const { relay, rungs, memory } = this.#options;
    const way = await memory.recall(relay.origin);
    if (way === undefined) return;
    this.#remembered = way.transport;
    for (const { name } of rungs) {
      const reason = way.reasons[name];
      if (reason !== undefined) this.#reasons.set(name, reason);
    }
  }

  async #store(way: RememberedWay): Promise<void> {
    const stored = JSON.stringify(way);
    if (stored === this.#stored) return;
    this.#stored = stored;
    await this.#options.memory.remember(this.#options.relay.origin, way);
  }
}
