import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthOutcome, AuthProvider, Credential, Log, PluginLife, Principal } from '@towline/contract';
import { expect } from 'vitest';
import type { TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { plugin } from '../src/index.ts';

/** A line that the plugin logged. */
export interface LogLine {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The plugin as the relay would run it, with a clock that can be turned. */
export interface OpenPlugin extends AsyncDisposable {
  readonly auth: AuthProvider & PluginLife;
  readonly lines: LogLine[];
  /** `shift` is added to the time of the machine, milliseconds. */
  readonly clock: { shift: number; now(): number };
  ask(token: string): Promise<AuthOutcome>;
  /** Asks for a token that must be accepted. */
  principal(token: string): Promise<Principal>;
}

/** Checks options as the relay does; answers what is wrong, or undefined. */
export async function faultsOf(options: object): Promise<readonly string[] | undefined> {
  const { issues } = await plugin.options['~standard'].validate(options);
  return issues?.map(({ message, path }) => `${path?.join('.')}: ${message}`);
}

/** Opens the plugin for a provider; `options` are added to issuer, client and CA file. */
export async function openPlugin(
  provider: Pick<TestOidcProvider, 'url' | 'caPem' | 'clientId'>,
  options: object = {},
): Promise<OpenPlugin> {
  const dir = mkdtempSync(join(tmpdir(), 'towline-oidc-'));
  writeFileSync(join(dir, 'ca.pem'), provider.caPem);
  const given = { issuer: provider.url, client_id: provider.clientId, ca_file: 'ca.pem', ...options };
  const result = await plugin.options['~standard'].validate(given);
  if (result.issues) throw new Error(JSON.stringify(result.issues));
  const lines: LogLine[] = [];
  const keep: Log['warn'] = (message, fields = {}) => void lines.push({ message, fields });
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  const clock = { shift: 0, now: () => Date.now() + clock.shift };
  const host = { log, clock, baseDir: dir } as unknown as Parameters<typeof plugin.create>[1];
  const auth = plugin.create(result.value, host);
  const ask = (token: string) => auth.authenticate({ scheme: 'bearer', token } satisfies Credential, AbortSignal.timeout(20_000));
  return {
    auth,
    lines,
    clock,
    ask,
    async principal(token) {
      const outcome = await ask(token);
      expect(outcome).toMatchObject({ outcome: 'accepted' });
      return (outcome as Extract<AuthOutcome, { outcome: 'accepted' }>).principal;
    },
    async [Symbol.asyncDispose]() {
      await auth[Symbol.asyncDispose]?.();
      rmSync(dir, { recursive: true });
    },
  };
}

/** Base64url of a text or of the JSON of a value. */
export function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A token with any header and payload, also such as no library would make, signed as RS256 does. */
export function forge(key: KeyObject, header: unknown, payload: unknown): string {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

/** The RSA key of the provider, with its id. */
export function rsaKeyOf(provider: TestOidcProvider): { readonly kid: string; readonly key: KeyObject } {
  const jwk = provider.signingKeys().find(({ kty }) => kty === 'RSA')!;
  return { kid: jwk.kid!, key: createPrivateKey({ key: jwk as never, format: 'jwk' }) };
}
