/** What stands in the log where a secret was. */
export const REDACTED = '[redacted]';

/** Depth to which fields are walked: the deepest of ours has four levels. What lies deeper is left out. */
const MAX_DEPTH = 8;
/** Entries of one object or array that are shown: a log line is for reading. */
const MAX_ENTRIES = 200;

/** Names of fields that hold secrets, compared without case, dashes and underscores. */
const SECRET_NAMES: ReadonlySet<string> = new Set(
  `apikey xapikey key authorization proxyauthorization cookie setcookie password passwd passphrase secret clientsecret
   forwardsecret forwardsecrets encryptionkey encryptionkeys token accesstoken refreshtoken idtoken devicecode privatekey
   credential credentials jwt jwtsecret signature proof grant`.split(/\s+/),
);
/** Endings by which a longer name is recognised, as in `smtp_password` or `TOWLINE_JWT_SECRET`. */
const SECRET_ENDING = /(?:apikey|password|passphrase|secrets?|token|privatekey|authorization)$/;

// The form of an API key, cut short or not: what a person pastes is often incomplete and still a secret.
// One that is masked already is left alone.
const API_KEY = /\btwl_([ude])_(?![0-9a-f]{16}_\[)([0-9a-f]{16}_)?[0-9a-zA-Z_-]+/g;
const BEARER = /\b(bearer|basic)(\s+)[0-9a-z._~+/=-]{8,}/gi;
// The password in scheme://user:password@host, as database drivers like to repeat it.
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/?#@"]{0,256}):[^\s/?#@"]{1,256}@/gi;

/** The text without the secret part of API keys, and otherwise as it was: for what must show what was done. */
export function maskApiKeys(text: string): string {
  return text.replace(API_KEY, (_all, kind: string, id: string | undefined) => `twl_${kind}_${id ?? ''}${REDACTED}`);
}

/** The text without API keys, bearer tokens and passwords in URLs. The public id of an API key stays. */
export function maskSecrets(text: string): string {
  return maskApiKeys(text).replace(BEARER, `$1$2${REDACTED}`).replace(URL_PASSWORD, `$1:${REDACTED}@`);
}

/** A copy of the fields without secrets: by the names of keys at any depth, and by the look of texts. */
export function redactFields(fields: object): Record<string, unknown> {
  return redactObject(fields, { depth: 0, parents: [] });
}

interface Place {
  readonly depth: number;
  /** Objects on the way from the root, by which a cycle is found. */
  readonly parents: readonly object[];
}

function redactValue(value: unknown, place: Place): unknown {
  if (typeof value === 'string') return maskSecrets(value);
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function') return String(value).slice(0, 100);
  if (typeof value !== 'object' || value === null) return value;
  if (place.parents.includes(value)) return '[circular]';
  if (place.depth > MAX_DEPTH) return '[deeper]';
  return redactComposite(value, { depth: place.depth + 1, parents: [...place.parents, value] });
}

function redactComposite(value: object, place: Place): unknown {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return maskSecrets(value.href);
  if (value instanceof Error) return redactError(value, place);
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => redactValue(item, place));
  if (value instanceof Map) return redactObject(Object.fromEntries(value), place);
  if (value instanceof Set) return redactValue([...value], place);
  return redactObject(value, place);
}

function redactObject(value: object, place: Place): Record<string, unknown> {
  const entries = Object.entries(value).slice(0, MAX_ENTRIES);
  return Object.fromEntries(entries.map(([key, item]) => [key, isSecretName(key) ? hide(item) : redactValue(item, place)]));
}

/** An error with what only the log shows: the fields of TowlineError, stack and causes. */
function redactError(error: Error, place: Place): Record<string, unknown> {
  const own = redactObject(error, place);
  const cause = 'cause' in error && error.cause !== undefined ? { cause: redactValue(error.cause, place) } : {};
  const errors = error instanceof AggregateError ? { errors: redactValue(error.errors, place) } : {};
  return { ...own, type: error.name, message: maskSecrets(error.message), stack: maskSecrets(error.stack ?? ''), ...cause, ...errors };
}

/** Absent stays absent: that a secret is not set is worth seeing. */
function hide(item: unknown): unknown {
  return item === undefined || item === null || item === '' || typeof item === 'boolean' ? item : REDACTED;
}

function isSecretName(key: string): boolean {
  const name = key.toLowerCase().replace(/[-_]/g, '');
  return SECRET_NAMES.has(name) || SECRET_ENDING.test(name);
}
