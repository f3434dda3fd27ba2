import { ERRORS, type ErrorCode, isErrorCode } from './catalogue.ts';

const BRAND = Symbol.for('towline.error');

/** What a {@link TowlineError} may carry besides its code. */
export interface ErrorExtras {
  /** What to do next, where the catalogue's hint does not fit. Public. */
  readonly hint?: string;
  /** For the log only, never sent to a peer. */
  readonly detail?: string;
  /** What led to it, kept for the log. */
  readonly cause?: unknown;
}

/** An error as it is shown to a person or sent to a peer. */
export interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/**
 * The one error class. `message` and `hint` are public: they may cross the wire and be
 * printed on a terminal. `detail` and `cause` stay in the log of the process that made it.
 */
export class TowlineError extends Error {
  override readonly name = 'TowlineError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly detail: string | undefined;
  readonly [BRAND] = true;

  constructor(code: ErrorCode, message: string = ERRORS[code].text, extras: ErrorExtras = {}) {
    super(message, 'cause' in extras ? { cause: extras.cause } : undefined);
    this.code = code;
    this.hint = extras.hint ?? ERRORS[code].hint;
    this.detail = extras.detail;
  }

  /** Status of an HTTP answer that carries this error. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  /** Code of a RESET or CLOSE frame that carries this error. */
  get wire(): number {
    return ERRORS[this.code].wire;
  }

  /** Exit code of a program that ends by this error. */
  get exit(): number {
    return ERRORS[this.code].exit;
  }

  /** The part of the error that may leave this process. */
  toPublic(): PublicError {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** Recognises a {@link TowlineError}, also one made by another installed copy of this package. */
export function isTowlineError(error: unknown): error is TowlineError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** The error itself, or an `internal` one around whatever was thrown. */
export function toTowlineError(error: unknown): TowlineError {
  if (isTowlineError(error)) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new TowlineError('internal', undefined, { detail, cause: error });
}

/** Reads an error that a peer sent. Unknown codes become `internal`; texts are capped at 1,000 characters. */
export function fromPublicError(value: { code?: unknown; message?: unknown; hint?: unknown }): TowlineError {
  const code = isErrorCode(value.code) ? value.code : 'internal';
  const text = (given: unknown, otherwise: string) => (typeof given === 'string' && given.length > 0 ? given.slice(0, 1_000) : otherwise);
  return new TowlineError(code, text(value.message, ERRORS[code].text), { hint: text(value.hint, ERRORS[code].hint) });
}
