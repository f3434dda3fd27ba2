import { domainToASCII } from 'node:url';
import type { AuthProvider, Principal, TowlineError } from '@towline/contract';
import type { ConfigPlace } from '../plugins/index.ts';
import { pluginFault } from '../plugins/plugin-faults.ts';
import type { NamedProvider } from './authenticate.ts';

/** A provider and where the config names it. */
export type PlacedProvider = NamedProvider & { readonly at?: ConfigPlace };

/**
 * Refuses two providers that may vouch for addresses of one domain: who controls the weaker of them could become anybody whom the
 * other one knows. @throws TowlineError `config_invalid`.
 */
export function requireOwnDomains(providers: readonly PlacedProvider[]): void {
  const seen: { readonly label: string; readonly domains: readonly string[] | 'any' }[] = [];
  for (const [index, { name, provider, at }] of providers.entries()) {
    if (provider.emailDomains === undefined) continue;
    const domains = provider.emailDomains === 'any' ? 'any' : provider.emailDomains.map(oneForm);
    const label = `auth[${index}] (${name})`;
    for (const other of seen) {
      const both = commonDomain(domains, other.domains);
      if (both !== null) throw clash({ one: other.label, two: label, both, at });
    }
    seen.push({ label, domains });
  }
}

/**
 * A principal without an address that its provider may not vouch for: by what it says of itself two providers were told apart, so it
 * is held to that.
 */
export function withOwnAddress(principal: Principal, { emailDomains }: Pick<AuthProvider, 'emailDomains'>): Principal {
  const { email, ...rest } = principal;
  if (email === undefined || emailDomains === undefined || emailDomains === 'any') return principal;
  if (emailDomains.map(oneForm).includes(oneForm(email.slice(email.lastIndexOf('@') + 1)))) return principal;
  return { ...rest, emailNote: `The e-mail address ${email} is not of a domain that this relay takes from the provider ${rest.provider}.` };
}

/** A domain as it stands in the DNS; one that cannot stand there as it is. */
function oneForm(domain: string): string {
  return domainToASCII(domain) || domain.toLowerCase();
}

/** One domain, or `any domain`, that both may vouch for; null: there is none. */
function commonDomain(one: readonly string[] | 'any', other: readonly string[] | 'any'): string | null {
  if (one === 'any' && other === 'any') return 'any domain';
  if (one === 'any' || other === 'any') return (one === 'any' ? other : one)[0] ?? null;
  return one.find((domain) => other.includes(domain)) ?? null;
}

function clash({ one, two, both, at }: { one: string; two: string; both: string; at: ConfigPlace | undefined }): TowlineError {
  return pluginFault('config_invalid', `${one} and ${two} may both vouch for e-mail addresses of ${both}.`, {
    at,
    hint: 'Give each of them `email_domains` of its own.',
  });
}
