import { TowlineError } from './errors/towline-error.ts';
import { MAX_SECRET_BYTES, MAX_SESSION_SECRET_BYTES } from './limits.ts';
import type { DeviceOpen } from './open.ts';
import { MAX_SESSION_SECRETS, secretNameFault } from './secret-names.ts';

/** A secret in the clear, as a program gets it. Never logged. */
export interface SecretValue {
  readonly name: string;
  readonly value: string;
}

/** What is wrong with the value of a secret, in words that hold nothing of it; null when it may be used. */
export function secretValueFault(value: string): string | null {
  if (value === '') return 'a secret cannot be empty';
  if (value.includes('\0')) return 'a secret cannot hold a NUL character: no environment can';
  if (/\p{Cs}/u.test(value)) return 'a secret must be valid Unicode text';
  const bytes = Buffer.byteLength(value);
  return bytes <= MAX_SECRET_BYTES ? null : `a secret has at most ${MAX_SECRET_BYTES} bytes, and this one has ${bytes}`;
}

/** Secrets as they stand in a granted open message. @throws TowlineError `too_large` when they are too much for one session. */
export function encodeSecrets(secrets: readonly SecretValue[]): NonNullable<DeviceOpen['secrets']> {
  const bytes = sumOf(secrets);
  if (bytes > MAX_SESSION_SECRET_BYTES) {
    throw new TowlineError('too_large', `The secrets of this session have ${bytes} bytes, where ${MAX_SESSION_SECRET_BYTES} are allowed.`, {
      hint: 'Give it fewer secrets; those that belong together can be used in sessions of their own.',
    });
  }
  return secrets.map(({ name, value }) => ({ name, value: Buffer.from(value).toString('base64url') }));
}

/** Reads the secrets of a granted open message; everything is checked again. @throws TowlineError `invalid_request`, which holds no value. */
export function decodeSecrets(encoded: DeviceOpen['secrets'] = []): readonly SecretValue[] {
  if (encoded.length > MAX_SESSION_SECRETS) throw invalid(`a session is given at most ${MAX_SESSION_SECRETS} secrets`);
  const names = new Set<string>();
  const secrets = encoded.map(({ name, value: text }) => {
    const value = decodeValue(text);
    const fault = secretNameFault(name) ?? (value === null ? 'a secret is not encoded as it should be' : secretValueFault(value));
    if (fault !== null) throw invalid(fault);
    if (names.has(name)) throw invalid(`the secret ${name} comes twice`);
    names.add(name);
    return { name, value: value! };
  });
  if (sumOf(secrets) > MAX_SESSION_SECRET_BYTES) throw invalid(`the secrets have more than ${MAX_SESSION_SECRET_BYTES} bytes`);
  return secrets;
}

/** One text for one value: the last digit of base64url has bits that mean nothing, and bytes that are no UTF-8 would be replaced. */
function decodeValue(text: string): string | null {
  const value = Buffer.from(text, 'base64url').toString('utf8');
  return Buffer.from(value).toString('base64url') === text ? value : null;
}

function sumOf(secrets: readonly SecretValue[]): number {
  return secrets.reduce((sum, { name, value }) => sum + name.length + Buffer.byteLength(value), 0);
}

function invalid(fault: string): TowlineError {
  return new TowlineError('invalid_request', `The device does not take the secrets of this session: ${fault}.`);
}
