import type { ErrorCode } from '@towline/protocol';
import type { WireError } from '../thread-messages.ts';

/**
 * An error of ours inside a thread; the caller gets it as a TowlineError. Nothing here loads the catalogue with the
 * schema library behind it: that alone took two thirds of the time in which a store opens.
 */
export class StoreFault extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, extras: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, 'cause' in extras ? { cause: extras.cause } : undefined);
    this.code = code;
    this.hint = extras.hint;
  }
}

/** Describes an error for the caller. What is no fault of ours came from the database: `store_failed` with the detail. */
export function encodeError(error: unknown): WireError {
  if (!(error instanceof StoreFault)) return { code: 'store_failed', detail: describe(error) };
  const { code, message, hint, cause } = error;
  return { code, message, ...(hint !== undefined && { hint }), ...(cause !== undefined && { detail: describe(cause) }) };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return `${code}${error.message}`;
}
