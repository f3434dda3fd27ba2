import { cancellation, startDeadline } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import {
  type Configuration,
  type DeviceAuthorizationResponse,
  enableNonRepudiationChecks,
  initiateDeviceAuthorization,
  pollDeviceAuthorizationGrant,
  type TokenEndpointResponse,
} from 'openid-client';
import { shown } from '../output/terminal-text.ts';
import { durationText } from '../output/times.ts';
import { discoverProvider, explainProviderFault, refusalOf } from './discover.ts';
import { type ProviderNetwork, parseProviderUrl, unavailable } from './provider-fetch.ts';
import { audienceParameters, type StoredToken, type TokenRequest, tokenOfAnswer } from './token.ts';

/** Longest time for which a code is waited for, seconds; most providers give 5 to 30 minutes. */
const LONGEST_WAIT_S = 3_600;
/** Pauses between two questions that a provider may ask for, seconds. */
const INTERVAL_S = Object.freeze({ least: 1, usual: 5, most: 60 });
/** Requests that may fail while the code is waited for; a network that comes and goes loses no login. */
const MAX_FAULTS = 5;

/** What a person is shown. */
export interface DeviceCode {
  /** The page to open, https. */
  readonly url: string;
  /** To be typed there. */
  readonly code: string;
  /** The page with the code in it. */
  readonly directUrl?: string;
  readonly validMs: number;
}

/** What {@link loginByDeviceFlow} goes by. */
export interface DeviceFlow extends TokenRequest {
  readonly env: ProviderNetwork['env'];
  readonly signal: AbortSignal;
  now(): number;
  readonly show: (code: DeviceCode) => void;
}

/**
 * Logs in by the Device Authorization Grant (RFC 8628). An ID token that comes along is verified and not kept.
 * @throws TowlineError `login_denied`, `timeout` when nobody confirmed, `provider_unavailable`, `cancelled`.
 */
export async function loginByDeviceFlow(flow: DeviceFlow): Promise<StoredToken> {
  const provider = await discoverProvider(flow, flow);
  const issuer = new URL(flow.issuer);
  if (provider.serverMetadata().device_authorization_endpoint === undefined) throw unavailable(issuer, 'offers no device flow');
  enableNonRepudiationChecks(provider);
  const started = await initiateDeviceAuthorization(provider, {
    scope: (flow.scopes ?? ['openid']).join(' '),
    ...audienceParameters(flow),
  }).catch((error: unknown) => {
    throw explainProviderFault(error, flow.issuer);
  });
  const asked = bound(started);
  flow.show(codeOf(asked, issuer));
  const answer = await waitForConfirmation(provider, asked, flow);
  const { issuer: name, client_id, scopes, audience } = flow;
  const request = { issuer: name, client_id, ...(scopes ? { scopes } : {}), ...(audience === undefined ? {} : { audience }) };
  return tokenOfAnswer(answer, request, flow.now());
}

/** Times that a provider got wrong neither flood it nor wait for ever. */
function bound(started: DeviceAuthorizationResponse): DeviceAuthorizationResponse {
  const interval = Math.min(Math.max(started.interval ?? INTERVAL_S.usual, INTERVAL_S.least), INTERVAL_S.most);
  return { ...started, interval, expires_in: Math.min(started.expires_in, LONGEST_WAIT_S) };
}

function codeOf(asked: DeviceAuthorizationResponse, issuer: URL): DeviceCode {
  const { verification_uri, verification_uri_complete, user_code, expires_in } = asked;
  return {
    url: pageOf(verification_uri, issuer),
    code: shown(user_code, 64),
    ...(verification_uri_complete === undefined ? {} : { directUrl: pageOf(verification_uri_complete, issuer) }),
    validMs: expires_in * 1_000,
  };
}

/** A page as it is shown, in the parser's own form, which holds no control characters. A provider elsewhere sends nobody to a program here. */
function pageOf(text: string, issuer: URL): string {
  const { href, protocol } = parseProviderUrl(text);
  if (protocol === issuer.protocol || protocol === 'https:') return href;
  throw unavailable(issuer, 'wants a page of this very machine to be opened');
}

async function waitForConfirmation(
  provider: Configuration,
  asked: DeviceAuthorizationResponse,
  { issuer, audience, client_id, signal }: DeviceFlow,
): Promise<TokenEndpointResponse> {
  using deadline = startDeadline(asked.expires_in * 1_000, () => nobodyConfirmed(asked.expires_in), signal);
  const parameters = audienceParameters({ issuer, client_id, ...(audience === undefined ? {} : { audience }) });
  let before: TowlineError | undefined;
  for (let faults = 1; ; faults += 1) {
    try {
      const polling = pollDeviceAuthorizationGrant(provider, asked, parameters, { signal: deadline.signal });
      return await orAborted(polling, deadline.signal);
    } catch (error) {
      // The code was spent on an answer that did not arrive whole: what went wrong is the fault before.
      if (before !== undefined && refusalOf(error) === 'invalid_grant') throw before;
      before = explainPolling(error, issuer, asked);
      if (before.code !== 'provider_unavailable' || faults >= MAX_FAULTS) throw before;
    }
  }
}

/** The library looks at the signal between two pauses; whoever presses Ctrl-C does not wait for that. */
function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(cancellation(signal));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function explainPolling(error: unknown, issuer: string, { expires_in }: DeviceAuthorizationResponse): TowlineError {
  const refusal = refusalOf(error);
  if (refusal === 'access_denied') return new TowlineError('login_denied', undefined, { cause: error });
  return refusal === 'expired_token' ? nobodyConfirmed(expires_in, error) : explainProviderFault(error, issuer);
}

function nobodyConfirmed(seconds: number, cause?: unknown): TowlineError {
  return new TowlineError('timeout', `The code was not confirmed within ${durationText(seconds * 1_000)}, and is no longer valid.`, {
    hint: 'Run `towline login` again for a new one.',
    cause,
  });
}
