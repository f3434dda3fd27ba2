/** Bounds of the audit pipeline. */
export interface AuditLimits {
  /** Bytes of JSON in one event: the largest message of a peer fits. */
  readonly maxEventBytes: number;
  /** Events that may wait to be written; above, writing is refused. */
  readonly maxWaiting: number;
  /** Bytes of JSON that may wait, whatever their number: an open message alone may have 32 KiB. */
  readonly maxWaitingBytes: number;
  /** Records handed to the store and the sinks in one piece. Linking a hundred takes 2 ms, for which tunnels wait. */
  readonly maxBatch: number;
  /** Bytes of JSON in one piece, unless a single record has more. */
  readonly maxBatchBytes: number;
  /** Records kept for a sink that is not required and does not keep up. */
  readonly maxSpool: number;
  /** Time the store has for one step. */
  readonly storeDeadlineMs: number;
  /** Time a sink has for one batch. */
  readonly sinkDeadlineMs: number;
  /** First and longest wait before a sink that is not required is tried again; doubles in between. */
  readonly retryMs: readonly [first: number, longest: number];
  /** Time that spools have to empty when the relay stops. */
  readonly closeDeadlineMs: number;
}

/** What a relay runs with. */
export const AUDIT_LIMITS: AuditLimits = Object.freeze({
  maxEventBytes: 524_288,
  maxWaiting: 50_000,
  maxWaitingBytes: 67_108_864,
  maxBatch: 100,
  maxBatchBytes: 4_194_304,
  maxSpool: 10_000,
  storeDeadlineMs: 30_000,
  sinkDeadlineMs: 10_000,
  retryMs: [500, 60_000] as const,
  closeDeadlineMs: 5_000,
});

/** Times a batch is linked anew because another process moved the head: the rescue command writes a few records at most. */
export const MAX_RELINKS = 8;
