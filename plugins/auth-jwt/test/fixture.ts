import { createHmac } from 'node:crypto';
import type { AuthOutcome, AuthProvider, Log, Principal } from '@towline/contract';
import { parseScope, userScope } from '@towline/protocol';
import { plugin } from '../src/index.ts';

export const NOW = 1_700_000_000_500;
export const NOW_S = 1_700_000_000;
export const SECRET = 'kQ0v7Zt3Yx9Lr2Wm5Hs8Jd1Fb4Nc6Gp-Ta_UeViXoRq';
export const OLDER_SECRET = 'b2Vf8Tq1Zr5Xw9Lk3Mn7Hs0Jd4Gc6Pa-Ye_UoViRtQx';

/** Somebody who came in by an identity provider. */
export const ALICE: Principal = {
  kind: 'user',
  id: 'https://id.example.com|alice',
  label: 'alice@example.com',
  email: 'alice@example.com',
  scopes: [
    { scope: userScope('alice@example.com'), role: 'admin' },
    { scope: parseScope('org:acme')!, role: 'operator' },
  ],
  admin: false,
  provider: 'oidc',
};

/** What the options of an entry become, or what is wrong with them. */
export async function checkOptions(options: unknown): Promise<{ readonly value?: unknown; readonly faults: readonly string[] }> {
  const result = await plugin.options['~standard'].validate(options);
  if (result.issues === undefined) return { value: result.value, faults: [] };
  return { faults: result.issues.map(({ message, path }) => `${(path ?? []).join('.')}: ${message}`) };
}

/** A provider with these options, and a clock that can be turned. */
export async function openProvider(options: unknown = { secret: SECRET }) {
  const { value, faults } = await checkOptions(options);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  const clock = { time: NOW, now: () => clock.time };
  const ignore = () => undefined;
  const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  // The kernel hands every part to a plugin; this one has asked for none beyond these.
  const provider = plugin.create(value, { log, clock } as unknown as Parameters<typeof plugin.create>[1]);
  return { provider, clock, issue: (principal = ALICE) => provider.issueToken!(principal, AbortSignal.timeout(5_000)) };
}

/** What a provider says of a bearer token. */
export function ask(provider: AuthProvider, token: string): Promise<AuthOutcome> {
  return provider.authenticate({ scheme: 'bearer', token }, AbortSignal.timeout(5_000));
}

/** The three parts of a token, decoded where they are JSON. */
export function partsOf(token: string) {
  const [head = '', body = '', signature = ''] = token.split('.');
  const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return { head, body, signature, header: decode(head), payload: decode(body) };
}

/** One part of a token. */
export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A token with a valid HMAC of any secret over whatever is given. */
export function sign(header: unknown, payload: unknown, { secret = SECRET, hash = 'sha256' } = {}): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}
