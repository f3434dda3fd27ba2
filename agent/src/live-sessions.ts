import { type DeviceSessionEnd, type SessionEnd, type SessionId, TowlineError } from '@towline/protocol';
import { createPlaces, type NoPlace, type Places } from './places.ts';

/** A session from its admission to its last entry in the journal. */
export interface LiveSession {
  readonly id: SessionId;
  /** Why it is to end, once somebody on this side or the relay said so. */
  readonly cause: SessionEnd | null;
  /** Hands over the session once it has begun. When its end was asked for before, it is ended at once. */
  begin(session: DeviceSessionEnd): void;
  /** Frees its place. */
  release(): void;
}

/** Sessions of both kinds together: as many as a device may name in the proof that begins a link. */
const MAX_LIVE = 5_000;

/** By which limit a session is bounded. */
export type SessionKind = 'session' | 'connection';

/** Whose session asks for a place, and of which kind. */
export interface Admission {
  readonly kind?: SessionKind;
  /** Stands for whoever opens it, as in the grant. */
  readonly account: string;
}

/** Sessions of a device, bounded, and shared by those who use it. */
export class LiveSessions {
  readonly #places: Readonly<Record<SessionKind, Places>>;
  readonly #all = createPlaces(MAX_LIVE);
  readonly #sessions = new Map<SessionId, Entry>();
  #onEmpty: (() => void)[] = [];
  #closed = false;

  constructor(maxSessions: number, maxConnections = maxSessions) {
    this.#places = { session: createPlaces(maxSessions), connection: createPlaces(maxConnections) };
  }

  /** Ids of the sessions that live. */
  get ids(): SessionId[] {
    return [...this.#sessions.keys()];
  }

  /**
   * Takes a place.
   * @throws TowlineError `session_limit` when there is none for that account, `conflict` when the id is in use, `device_offline` after
   * {@link close}.
   */
  admit(id: SessionId, { kind = 'session', account }: Admission): LiveSession {
    if (this.#closed) throw new TowlineError('device_offline', 'The runtime on the device is being stopped.');
    if (this.#sessions.has(id)) throw new TowlineError('conflict', 'A session of that id is open on the device.');
    const taken = [this.#places[kind], this.#all];
    const why = taken.map((places) => places.refuse(account)).find((refusal) => refusal !== null);
    if (why !== undefined) throw limitReached(kind, why);
    const entry = new Entry(id, () => this.#release(entry, account, taken));
    this.#sessions.set(id, entry);
    for (const places of taken) places.take(account);
    return entry;
  }

  /** Ends one session; what it runs is ended with it. False when there is none of that id. */
  end(id: SessionId, cause: SessionEnd, error: TowlineError): boolean {
    const entry = this.#sessions.get(id);
    entry?.end(cause, error);
    return entry !== undefined;
  }

  /** Ends all sessions. */
  endAll(cause: SessionEnd, error: TowlineError): void {
    for (const entry of [...this.#sessions.values()]) entry.end(cause, error);
  }

  /** Admits no more sessions. */
  close(): void {
    this.#closed = true;
  }

  /** Resolves when no session lives, or the signal aborts. */
  whenEmpty(signal: AbortSignal): Promise<void> {
    if (this.#sessions.size === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #release(entry: Entry, account: string, taken: readonly Places[]): void {
    if (this.#sessions.get(entry.id) !== entry) return;
    this.#sessions.delete(entry.id);
    for (const places of taken) places.release(account);
    if (this.#sessions.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }
}

/** What the limits of device.yaml count. */
const COUNTED: Readonly<Record<SessionKind, string>> = Object.freeze({ session: 'sessions', connection: 'forwarded connections' });

function limitReached(kind: SessionKind, why: NoPlace): TowlineError {
  const what = COUNTED[kind];
  const text =
    why === 'share'
      ? `You have your share of the ${what} that may be open on the device; the rest is kept for others.`
      : `Too many ${what} are open on the device.`;
  const hint = `End some first; its owner can raise \`limits.${kind}s\` in device.yaml.`;
  return new TowlineError('session_limit', text, { hint });
}

class Entry implements LiveSession {
  readonly id: SessionId;
  readonly release: () => void;
  #session: DeviceSessionEnd | null = null;
  #ended: { readonly cause: SessionEnd; readonly error: TowlineError } | null = null;

  constructor(id: SessionId, release: () => void) {
    this.id = id;
    this.release = release;
  }

  get cause(): SessionEnd | null {
    return this.#ended?.cause ?? null;
  }

  begin(session: DeviceSessionEnd): void {
    this.#session = session;
    if (this.#ended) session.abort(this.#ended.error);
  }

  end(cause: SessionEnd, error: TowlineError): void {
    if (this.#ended || this.#session?.session.signal.aborted) return;
    this.#ended = { cause, error };
    this.#session?.abort(error);
  }
}
