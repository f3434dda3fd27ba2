import type { Principal } from '@towline/contract';
import { claimedEmail } from './claimed-email.ts';
import { claimedScopes, type IgnoredValue } from './claimed-scopes.ts';
import type { Claims } from './claims.ts';
import type { OidcOptions } from './options.ts';

/** Name of the plugin, which its principals carry. */
export const PROVIDER = 'oidc';
const MAX_LABEL = 320;

/** Who acts by claims that were verified; `sub` and `exp` are in order. Nobody is a platform admin by a token. */
export function principalOf(claims: Claims, options: OidcOptions, ignored: IgnoredValue): Principal {
  const address = claimedEmail(claims, options.email_domains);
  return {
    kind: 'user',
    id: `${options.issuer}|${String(claims.sub)}`,
    label: labelOf(claims, 'email' in address ? address.email : undefined),
    ...address,
    scopes: claimedScopes(claims, options, ignored),
    admin: false,
    provider: PROVIDER,
    expiresAt: Math.floor(Number(claims.exp) * 1_000),
  };
}

/** A name that reads as an e-mail address is passed over: people choose their names, and it might be that of another. */
function labelOf({ preferred_username, name, sub }: Claims, email: string | undefined): string {
  const names = [preferred_username, name].filter((text) => typeof text === 'string' && !readsAsAddress(text));
  const label = [email, ...names, sub].map(cleaned).find((text) => text !== '') ?? '';
  return [...label].slice(0, MAX_LABEL).join('');
}

/** Also by an at sign of other widths, which looks the same. */
function readsAsAddress(text: string): boolean {
  return text.normalize('NFKC').includes('@');
}

/** Without control and formatting characters, which could turn the text around where it is shown. */
function cleaned(text: unknown): string {
  return typeof text === 'string' ? text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim() : '';
}
