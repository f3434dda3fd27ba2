import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** What a password is hashed with (RFC 7914). */
export interface ScryptCost {
  /** N, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** A hash as it is stored. */
export interface PasswordHash extends ScryptCost {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** Cost of new hashes: 128 MiB and some tenths of a second for each guess. */
const COST: ScryptCost = Object.freeze({ n: 2 ** 17, r: 8, p: 1 });
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Bounds of what is accepted: below, guesses are cheap; above, one login takes the machine's memory. */
const MIN_N = 2 ** 14;
/** With less a guess takes little memory, and OpenSSL computes no key where N is large. */
const MIN_R = 8;
const MAX_MEMORY = 256 * 1_048_576;
const MAX_P = 16;
const HASH = /^scrypt\$([1-9][0-9]{0,9})\$([1-9][0-9]?)\$([1-9][0-9]?)\$([A-Za-z0-9_-]{22,86})\$([A-Za-z0-9_-]{43,86})$/;

/** Hashes a new password with a salt of its own: `scrypt$N$r$p$SALT$KEY`, salt and key in base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, { ...COST, salt, length: KEY_BYTES });
  return `scrypt$${COST.n}$${COST.r}$${COST.p}$${salt.toString('base64url')}$${key.toString('base64url')}`;
}

/** Reads a hash; null when it is malformed, too cheap to guess or too dear to verify. */
export function parsePasswordHash(text: string): PasswordHash | null {
  const match = HASH.exec(text);
  if (match === null) return null;
  const [n, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (n < MIN_N || r < MIN_R || !Number.isInteger(Math.log2(n)) || 128 * n * r > MAX_MEMORY || p > MAX_P) return null;
  return { n, r, p, salt: Buffer.from(match[4]!, 'base64url'), key: Buffer.from(match[5]!, 'base64url') };
}

/** A hash that no password has, which costs as much as another one. */
export function unmatchedHash({ n, r, p }: ScryptCost = COST): PasswordHash {
  return { n, r, p, salt: randomBytes(SALT_BYTES), key: randomBytes(KEY_BYTES) };
}

/** Whether the hash is that of the password. Takes as long whatever the answer. */
export async function verifyPassword(password: string, hash: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, { ...hash, length: hash.key.length }), hash.key);
}

/** The same text typed on two systems may differ in how it is composed (RFC 8265, 4.2.2). */
function derive(password: string, { n, r, p, salt, length }: ScryptCost & { salt: Buffer; length: number }): Promise<Buffer> {
  // The blocks themselves have 128 N r bytes; what OpenSSL counts besides is far less than as much again.
  const options: ScryptOptions = { N: n, r, p, maxmem: 256 * n * r };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
