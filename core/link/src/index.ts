export { type ApiClient, type ApiClientOptions, createApiClient, type RelayCredential, type RequestExtras } from './api-request.ts';
export { type ControlChannel, type ControlCodecs, createControlChannel } from './control-channel.ts';
export { type LivenessTimes, watchLiveness } from './liveness.ts';
export { createLink, type LinkOptions } from './mux/create-link.ts';
export { CreditBudget } from './mux/credit-budget.ts';
export { DEFAULT_LINK_LIMITS, type LinkLimits } from './mux/link-limits.ts';
export { TokenBucket } from './mux/token-bucket.ts';
export { readMessage } from './read-message.ts';
export {
  createReconnectPolicy,
  type KeepLinkedOptions,
  keepLinked,
  type LinkState,
  type ReconnectPolicy,
} from './reconnect.ts';
export { decodeRefusal, notTowline, type RelayAnswer, type RetryAfter, readAnswer, retryAfterMs } from './relay-answer.ts';
export { parseRelayUrl, type RelayAddress, relayAddress } from './relay-url.ts';
export { explainRequestFault } from './request-fault.ts';
export { connectVerified, type VerifiedRequest } from './trust/connect-verified.ts';
export { cancellation, type Deadline, startDeadline } from './trust/deadline.ts';
export { fingerprintOfKey, parseFingerprint } from './trust/fingerprint.ts';
export { CONNECT_TIMEOUT_MS } from './trust/open-tls.ts';
export { parseCertificates, splitCertificates } from './trust/pem.ts';
export { type ConnectorOptions, createRelayConnector, type RelayConnector } from './trust/relay-connector.ts';
export { type ResolvedTrust, resolveTrust, type TrustRequest } from './trust/resolve-trust.ts';
export { TLS_POLICY } from './trust/tls-policy.ts';
export { acceptUpgrade } from './upgrade/accept-upgrade.ts';
export { requestUpgrade, type UpgradeRequest } from './upgrade/request-upgrade.ts';
export { isUpgradeToken, UPGRADE_TOKEN } from './upgrade/upgrade-token.ts';
