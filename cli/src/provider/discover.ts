import { isTowlineError, TowlineError } from '@towline/protocol';
import { allowInsecureRequests, type Configuration, clockTolerance, customFetch, discovery, None, ResponseBodyError } from 'openid-client';
import { shown } from '../output/terminal-text.ts';
import { createProviderFetch, type ProviderNetwork, parseProviderUrl, unavailable } from './provider-fetch.ts';

/** Leeway for the times in an ID token, seconds. It only confirms who logged in; the relay judges the access token by its own clock. */
const CLOCK_LEEWAY_S = 300;

/** A provider, and the client as which it is asked. */
export interface ProviderClient {
  readonly issuer: string;
  readonly client_id: string;
}

/**
 * Reads the metadata of a provider, which must say of itself that it is this issuer.
 * @throws TowlineError `provider_unavailable`, `config_invalid`, `cancelled`.
 */
export async function discoverProvider({ issuer, client_id }: ProviderClient, network: ProviderNetwork): Promise<Configuration> {
  const url = parseProviderUrl(issuer);
  if (/[@?#]/.test(issuer)) throw unavailable(url, 'is named with a user, query or fragment, which no issuer has');
  const plain = url.protocol === 'http:';
  const found = await discovery(url, client_id, { [clockTolerance]: CLOCK_LEEWAY_S }, None(), {
    [customFetch]: createProviderFetch(network),
    execute: plain ? [allowInsecureRequests] : [],
  }).catch((error: unknown) => {
    throw explainProviderFault(error, issuer);
  });
  const named = found.serverMetadata().issuer;
  if (named === issuer) return found;
  throw unavailable(url, `says that it is ${shown(named, 200)}, where ${shown(issuer, 200)} is expected`);
}

/** What the provider refused a request with, as it names it; undefined when the error is no such refusal. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof ResponseBodyError && error.status < 500 ? error.error : undefined;
}

/** What went wrong at a provider, in words: no token and no code is repeated. */
export function explainProviderFault(error: unknown, issuer: string): TowlineError {
  const ours = ownCause(error);
  if (ours !== undefined) return ours;
  const url = parseProviderUrl(issuer);
  const refusal = refusalOf(error);
  if (refusal === undefined) return unavailable(url, `gave an answer that is not valid (${reasonOf(error)})`, withoutCauses(error));
  const said = (error as ResponseBodyError).error_description;
  return new TowlineError(
    'login_denied',
    `The identity provider ${url.host} refused the request: ${shown(refusal, 80)}${said ? ` (${shown(said, 200)})` : ''}.`,
    {
      hint: 'Tell the operator of the relay: the client needs the device flow, and the scopes and audience that are asked for.',
      cause: error,
    },
  );
}

/** Deeper causes carry the answer itself, or quote it, as the parser of JSON does: it may hold a token. */
function withoutCauses(error: unknown): Error {
  return Object.assign(new Error(reasonOf(error)), { stack: error instanceof Error ? error.stack : undefined });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? shown(error.message, 120) : 'unknown';
}

/** Errors of our own requests come wrapped. */
function ownCause(error: unknown): TowlineError | undefined {
  for (let each = error, depth = 0; each instanceof Error && depth < 8; depth += 1) {
    if (isTowlineError(each)) return each;
    each = each.cause;
  }
  return undefined;
}
