import { type DeviceSessionEnd, type SessionEnd, type SessionId, TowlineError } from '@towline/protocol';

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

/** Sessions of a device, bounded. */
export class LiveSessions {
  readonly #limits: Readonly<Record<SessionKind, number>>;
  readonly #counts: Record<SessionKind, number> = { session: 0, connection: 0 };
  readonly #sessions = new Map<SessionId, Entry>();
  #onEmpty: (() => void)[] = [];
  #closed = false;

  constructor(maxSessions: number, maxConnections = maxSessions) {
    this.#limits = { session: maxSessions, connection: maxConnections };
  }

  /** Ids of the sessions that live. */
  get ids(): SessionId[] {
    return [...this.#sessions.keys()];
  }

  /**
   * Takes a place.
   * @throws TowlineError `session_limit` when there is none, `conflict` when the id is in use, `device_offline` after {@link close}.
   */
  admit(id: SessionId, kind: SessionKind = 'session'): LiveSession {
    if (this.#closed) throw new TowlineError('device_offline', 'The runtime on the device is being stopped.');
    if (this.#sessions.has(id)) throw new TowlineError('conflict', 'A session of that id is open on the device.');
    if (this.#counts[kind] >= this.#limits[kind] || this.#sessions.size >= MAX_LIVE) throw limitReached(kind);
    const entry = new Entry(id, kind, () => this.#release(entry));
    this.#sessions.set(id, entry);
    this.#counts[kind] += 1;
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

  #release(entry: Entry): void {
    if (this.#sessions.get(entry.id) !== entry) return;
    this.#sessions.delete(entry.id);
    this.#counts[entry.kind] -= 1;
    if (this.#sessions.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }
}

function limitReached(kind: SessionKind): TowlineError {
  if (kind === 'session') return new TowlineError('session_limit');
  return new TowlineError('session_limit', 'Too many forwarded connections are open on the device.', {
    hint: 'Close some first; its owner can raise `limits.connections` in device.yaml.',
  });
}

class Entry implements LiveSession {
  readonly id: SessionId;
  readonly kind: SessionKind;
  readonly release: () => void;
  #session: DeviceSessionEnd | null = null;
  #ended: { readonly cause: SessionEnd; readonly error: TowlineError } | null = null;

  constructor(id: SessionId, kind: SessionKind, release: () => void) {
    this.id = id;
    this.kind = kind;
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
