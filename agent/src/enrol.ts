import type { ClaimRequest, FactsView, RegistrationRequest } from '@towline/contract';
import { type ApiClient, createReconnectPolicy, type ReconnectPolicy, retryAfterMs } from '@towline/link';
import {
  claimText,
  type ErrorCode,
  type GrantKeyRecord,
  type RegistrationId,
  registrationText,
  signText,
  type TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { type Approval, type Registration, readClaim, readRegistration } from './enrol-answers.ts';
import type { EventSink } from './events.ts';
import type { Identity } from './identity.ts';
import { pause } from './pause.ts';

/** Errors of a request that pass by themselves. Everything else is for a person to see at once. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'relay_unreachable',
  'unavailable',
  'rate_limited',
  'registration_limit',
  'timeout',
  'internal',
]);
/** Errors of a claim after which a new request may be made. */
const REQUEST_IS_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['registration_expired', 'not_found']);

/** What {@link enrol} takes. */
export interface EnrolOptions {
  /** Carries the enrolment key, when there is one. */
  readonly api: ApiClient;
  readonly identity: Identity;
  readonly name: string;
  /** `user:<email>` or `org:<id>`; left out with an enrolment key that names it. */
  readonly owner: string | undefined;
  readonly facts: FactsView;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** Waits between attempts; full jitter unless told. */
  readonly policy?: ReconnectPolicy;
}

/** What an approved device holds from then on. */
export interface Enrolled {
  readonly apiKey: string;
  readonly name: string;
  readonly relayId: string;
  readonly grantKeys: readonly GrantKeyRecord[];
}

/**
 * Asks to be enrolled and waits until somebody decides; asks anew when a request expires. Both messages may be
 * repeated, so a lost answer costs nothing.
 * @throws TowlineError `registration_rejected`, `cancelled`, and whatever no waiting heals.
 */
export async function enrol(options: EnrolOptions): Promise<Enrolled> {
  for (;;) {
    const registration = await persist(options, () => register(options));
    if (registration.state === 'pending') announce(registration, options);
    const approval = await awaitDecision(registration, options);
    if (approval !== null) {
      const { api_key: apiKey, device, relay, grant_keys: grantKeys } = approval;
      return { apiKey, name: device.name, relayId: relay, grantKeys };
    }
  }
}

async function register({ api, identity, name, owner, facts, signal }: EnrolOptions): Promise<Registration> {
  const { deviceId, publicKey, privateKey } = identity;
  const text = registrationText({ deviceId, publicKey, owner: owner ?? '', name });
  const body: RegistrationRequest = {
    device_id: deviceId,
    public_key: publicKey,
    name,
    facts,
    signature: signText(text, privateKey),
    ...(owner === undefined ? {} : { owner }),
  };
  return readRegistration(await api.request('POST', '/v1/registrations', { body, signal }), identity);
}

function announce({ id, owner, expires_at }: Registration, { emit, identity }: EnrolOptions): void {
  // The fingerprint is the device's own: what the relay shows to the approver is compared with it.
  emit({ event: 'waiting', request: id, fingerprint: identity.fingerprint, owner, expires_at });
}

/** Polls until the request is decided. Null when it is gone. */
async function awaitDecision(registration: Registration, options: EnrolOptions): Promise<Approval | null> {
  for (;;) {
    try {
      const answer = await persist(options, () => claim(registration, options));
      if (answer.state === 'approved') return answer;
      await pause(answer.poll_ms, options.signal);
    } catch (error) {
      if (REQUEST_IS_GONE.has(toTowlineError(error).code)) return null;
      throw error;
    }
  }
}

async function claim({ id, relay }: Registration, { api, identity, signal }: EnrolOptions) {
  const { deviceId, privateKey } = identity;
  const text = claimText({ relay, registration: id as RegistrationId, deviceId });
  const body: ClaimRequest = { device_id: deviceId, signature: signText(text, privateKey) };
  return readClaim(await api.request('POST', `/v1/registrations/${id}/claim`, { body, signal }), { deviceId, relay });
}

/** Tries again, with growing waits, while only the way to the relay is at fault. */
async function persist<T>(options: EnrolOptions, attempt: () => Promise<T>): Promise<T> {
  const policy = options.policy ?? createReconnectPolicy(Math.random);
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = toTowlineError(thrown);
      if (options.signal.aborted || !PASSING.has(error.code)) throw error;
      await pause(reportDelay(error, policy, options.emit), options.signal);
    }
  }
}

function reportDelay(error: TowlineError, policy: ReconnectPolicy, emit: EventSink): number {
  const delayMs = policy.nextDelayMs(retryAfterMs(error));
  emit({ event: 'offline', code: error.code, message: error.message, retry_ms: Math.round(delayMs) });
  return delayMs;
}
