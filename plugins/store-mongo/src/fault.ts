import { TowlineError } from '@towline/protocol';
import { CALL_MS } from './limits.ts';
import type { Liveness } from './liveness.ts';
import { within } from './within.ts';

const DUPLICATE_KEY = 11_000;

/** Whether the server refused something with that number. By the number alone: the driver is loaded only by a relay that uses it. */
export function isRefusal(error: unknown, code: number): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Whether a write was refused because another document has that id or unique value. */
export function isDuplicate(error: unknown): boolean {
  return isRefusal(error, DUPLICATE_KEY);
}

/** Inserts; false when the id exists. */
export async function isInserted(insertion: Promise<unknown>): Promise<boolean> {
  try {
    await insertion;
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

/** What is no error of ours came from the database or the way there: `store_failed` with the detail. */
export function toStoreError(error: unknown): TowlineError {
  if (error instanceof TowlineError) return error;
  return new TowlineError('store_failed', undefined, { detail: describe(error), cause: withoutContent(error) });
}

/** Why a start failed, for whoever starts it: that there is a log with the detail is of no help then. */
export function toStartError(error: unknown): TowlineError {
  if (error instanceof TowlineError && error.code !== 'store_failed') return error;
  const { detail, cause, message, hint } = toStoreError(error);
  if (detail === undefined) return new TowlineError('store_failed', message, { hint, cause });
  return new TowlineError('store_failed', `The database cannot be used: ${detail}`, {
    hint: 'Check that it runs, and its address: `uri` of the store, or TOWLINE_MONGODB_URI.',
    cause,
  });
}

/** The driver's errors carry what was sent: hashes of keys, sealed secrets. None of that belongs in a log. */
function withoutContent(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const { name, message, stack } = error;
  return Object.assign(new Error(message), { name, stack, ...('code' in error && { code: error.code }) });
}

/** What a call is made under. */
export interface Guard {
  /** Runs before each call, and throws where none may run. */
  readonly check: () => void;
  readonly liveness: Pick<Liveness, 'answered' | 'missed'>;
}

/** The methods of a repository with failures as {@link toStoreError} words them. */
export function guarded<Repository extends object>(repository: Repository, guard: Guard): Repository {
  const methods = Object.entries(repository).map(([name, method]) => [
    name,
    async (...args: readonly unknown[]) => {
      guard.check();
      checkArguments(name, args);
      return await under(guard, () => within(CALL_MS, method(...args)));
    },
  ]);
  return Object.fromEntries(methods) as Repository;
}

/** Runs a call; its failure as {@link toStoreError} words it. */
export async function under<Value>({ liveness }: Guard, call: () => Promise<Value>): Promise<Value> {
  try {
    const value = await call();
    liveness.answered();
    return value;
  } catch (error) {
    if (isAnswer(error)) liveness.answered();
    else liveness.missed();
    throw toStoreError(error);
  }
}

/** What the driver makes of a refusal of the server. */
const REFUSALS = new Set(['MongoServerError', 'MongoBulkWriteError', 'MongoWriteConcernError']);

function isAnswer(error: unknown): boolean {
  if (error instanceof TowlineError) return error.code !== 'store_failed';
  return error instanceof Error && REFUSALS.has(error.name);
}

/** Methods that take a filter first, with a value or a list of values for each name. */
const TAKE_FILTERS = new Set(['list', 'listEntries', 'listPending', 'countPending', 'standing', 'setMember']);

/** What is looked for is text, a number or a list of texts: an object there would be read as an operator by the database. */
function checkArguments(name: string, args: readonly unknown[]): void {
  if (lookedFor(name, args).some((value) => typeof value === 'object' && value !== null))
    throw new TowlineError('store_failed', undefined, { detail: `${name}: an object where a value belongs` });
}

/** What of the arguments gets into a filter. The rest is only ever stored. */
function lookedFor(name: string, args: readonly unknown[]): readonly unknown[] {
  const [first] = args;
  if (name === 'insert' || name === 'append') return [];
  if (typeof first === 'object' && first !== null) {
    if (name === 'note') return [(first as { readonly id?: unknown }).id];
    if (TAKE_FILTERS.has(name)) return Object.values(first).flat();
  }
  // The revision comes after the object with the change.
  return name === 'update' ? [first, args[args.findIndex((one) => typeof one === 'object') + 1]] : [first];
}

/** Of a refused document the driver's error carries the content too: only name, code and text are told. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && error.code !== undefined ? ` ${String(error.code)}` : '';
  return `${error.name}${code}: ${error.message}`;
}
