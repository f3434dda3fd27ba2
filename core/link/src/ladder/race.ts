import type { DialRequest, Link } from '@towline/contract';
import { type TowlineError, toTowlineError } from '@towline/protocol';
import { cancellation } from '../trust/deadline.ts';
import type { Turn } from './turns.ts';
import { isOfTheWay } from './verdict.ts';

/** How a race of rungs ended. */
export interface RaceEnd {
  /** Null when every rung failed. */
  readonly won: { readonly transport: string; readonly link: Link } | null;
  /** Errors of rungs that failed, by their names, in the order of their turns. */
  readonly failures: ReadonlyMap<string, TowlineError>;
  /** Rungs that had their head start and were still waiting for the relay when another had won. */
  readonly passedOver: readonly string[];
}

/**
 * Dials by one rung after the other, each with its head start over the next, which begins at once when the one before
 * fails. The first link wins; the others are given up through their signals, and a link that they still bring is closed.
 * @throws TowlineError what the relay itself answered, see {@link isOfTheWay}, or the reason of the request's signal.
 */
export function raceRungs(turns: readonly Turn[], request: DialRequest): Promise<RaceEnd> {
  return new Promise((resolve, reject) => new Race(turns, request, { resolve, reject }).begin());
}

/** Both ways to settle the promise of a race. */
interface Settle {
  readonly resolve: (end: RaceEnd) => void;
  readonly reject: (error: TowlineError) => void;
}

class Race {
  readonly #turns: readonly Turn[];
  readonly #request: DialRequest;
  readonly #settle: Settle;
  readonly #running = new Map<Turn, AbortController>();
  readonly #failures = new Map<Turn, TowlineError>();
  #begun = 0;
  #headStart: NodeJS.Timeout | undefined;
  #over = false;

  constructor(turns: readonly Turn[], request: DialRequest, settle: Settle) {
    this.#turns = turns;
    this.#request = request;
    this.#settle = settle;
  }

  begin(): void {
    const { signal } = this.#request;
    if (signal.aborted) return this.#onAbort();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#beginNext();
  }

  readonly #onAbort = (): void => {
    this.#finish();
    this.#settle.reject(cancellation(this.#request.signal));
  };

  readonly #beginNext = (): void => {
    clearTimeout(this.#headStart);
    const turn = this.#turns[this.#begun];
    if (turn === undefined) return;
    this.#begun += 1;
    const given = new AbortController();
    this.#running.set(turn, given);
    this.#headStart = setTimeout(this.#beginNext, turn.headStartMs);
    void this.#dial(turn, given.signal);
  };

  async #dial(turn: Turn, signal: AbortSignal): Promise<void> {
    try {
      this.#linked(turn, await turn.transport.dial({ ...this.#request, signal }));
    } catch (error) {
      if (!this.#over) this.#failed(turn, toTowlineError(error));
    }
  }

  #linked(turn: Turn, link: Link): void {
    if (this.#over) return void link.close('link_closed', 'Another transport was faster, or the dial was given up.');
    this.#running.delete(turn);
    // The one that began last may have had less than its head start, which tells nothing.
    const begunLast = this.#turns[this.#begun - 1];
    const passedOver = [...this.#running.keys()].filter((other) => other !== begunLast).map(({ transport }) => transport.name);
    this.#finish();
    this.#settle.resolve({ won: { transport: turn.transport.name, link }, failures: this.#errors(), passedOver });
  }

  #failed(turn: Turn, error: TowlineError): void {
    this.#running.delete(turn);
    this.#failures.set(turn, error);
    if (!isOfTheWay(error)) {
      this.#finish();
      this.#settle.reject(error);
    } else if (this.#failures.size === this.#turns.length) {
      this.#finish();
      this.#settle.resolve({ won: null, failures: this.#errors(), passedOver: [] });
    } else if (turn === this.#turns[this.#begun - 1]) {
      this.#beginNext();
    }
  }

  #errors(): Map<string, TowlineError> {
    const failed = this.#turns.filter((turn) => this.#failures.has(turn));
    return new Map(failed.map((turn) => [turn.transport.name, this.#failures.get(turn)!]));
  }

  /** Gives up whoever still dials, and leaves no timer. */
  #finish(): void {
    this.#over = true;
    clearTimeout(this.#headStart);
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    for (const given of this.#running.values()) given.abort();
    this.#running.clear();
  }
}
