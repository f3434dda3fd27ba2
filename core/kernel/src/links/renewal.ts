import { type Log, TowlineError, toTowlineError } from '@towline/contract';
import { TokenBucket } from '@towline/link';
import { type ClientToRelay, defined, type ErrorCode, type RelayToClient } from '@towline/protocol';
import type { ClientServing } from './serve-client.ts';
import type { AcceptedLink } from './serve-device.ts';

/** Renewals of one link in a second, averaged over a minute: a token is renewed some minutes before its end, and a failed try repeated. */
const RENEWALS_PER_SECOND = 0.1;
const BURST_SECONDS = 60;

type Credential = Extract<ClientToRelay, { type: 'credential' }>;

/** What renewing works with. */
export type RenewalParts = Pick<ClientServing, 'authenticate' | 'recheck' | 'afterRenewal'> & { readonly log: Log };

/** The client at the other end. */
export interface RenewingClient {
  readonly channel: { send(message: RelayToClient): void };
  dismiss(code: ErrorCode, message: string): Promise<void>;
}

/** Takes renewed credentials of a link, one after the other, and answers each. A refused one leaves the link as it was. */
export function createRenewal(
  parts: RenewalParts,
  accepted: AcceptedLink,
  { channel, dismiss }: RenewingClient,
): (message: Credential) => void {
  const bucket = new TokenBucket(RENEWALS_PER_SECOND, BURST_SECONDS, performance.now());
  let turn = Promise.resolve();
  const take = async (message: Credential) => {
    const error = await renew(parts, accepted, message);
    const { id } = message;
    if (error !== null) return channel.send({ type: 'credential_result', id, code: error.code, message: error.message });
    channel.send({ type: 'credential_result', id, ...defined({ expires_at_ms: accepted.credential.claimed.expiresAt }) });
    // What was revoked while the credential was judged did not see this link live by it.
    await parts.recheck(accepted);
    await parts.afterRenewal(accepted);
  };
  return (message) => {
    if (!bucket.take(performance.now())) {
      const { code, message: text } = new TowlineError('rate_limited', 'The link renews its credential too often.');
      return channel.send({ type: 'credential_result', id: message.id, code, message: text });
    }
    turn = turn
      .then(() => take(message))
      .catch((thrown: unknown) => {
        const { code, message: text } = toTowlineError(thrown);
        void dismiss(code, text);
      });
  };
}

/** Null when the link lives by the new credential. */
async function renew(
  { authenticate, log }: RenewalParts,
  accepted: AcceptedLink,
  { header, value }: Credential,
): Promise<TowlineError | null> {
  const { credential } = accepted;
  try {
    const { claimed } = await authenticate({ [header.toLowerCase()]: value }, accepted);
    if (claimed.kind !== credential.claimed.kind || claimed.id !== credential.claimed.id) {
      throw new TowlineError('forbidden', 'The credential is of somebody else; a link is renewed only by whoever made it.');
    }
    credential.renew(claimed);
    return null;
  } catch (thrown) {
    const error = toTowlineError(thrown);
    log.info('a link was not renewed', { principal: credential.claimed.label, code: error.code, detail: error.detail });
    return error;
  }
}
