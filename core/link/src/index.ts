export { type ApiClient, type ApiClientOptions, createApiClient, type RelayCredential, type RequestExtras } from './api-request.ts';
export { type ControlChannel, type ControlCodecs, createControlChannel } from './control-channel.ts';
export { type JoinEnd, type JoinOptions, joinStreams } from './join-streams.ts';
export { createLadder, type Ladder, type LadderLink, type LadderOptions, type LadderRequest } from './ladder/ladder.ts';
export { createProcessMemory, type LadderMemory, type RememberedWay } from './ladder/memory.ts';
export { type LivenessTimes, watchLiveness } from './liveness.ts';
export { createLink, type LinkOptions } from './mux/create-link.ts';
export { CreditBudget } from './mux/credit-budget.ts';
export { DEFAULT_LINK_LIMITS, type LinkLimits } from './mux/link-limits.ts';
export { TokenBucket } from './mux/token-bucket.ts';
export { chooseProxy } from './proxy/choose-proxy.ts';
export { connectProxy } from './proxy/connect-proxy.ts';
export { openTunnel } from './proxy/open-tunnel.ts';
export type { ProxyAddress } from './proxy/proxy-url.ts';
export { type HttpProxy, resolveProxy } from './proxy/resolve-proxy.ts';
export { readMessage } from './read-message.ts';
export {
  createReconnectPolicy,
  type DialLink,
  type KeepLinkedOptions,
  keepLinked,
  type LinkState,
  LOST_ON_THE_WAY,
  PROVEN_AFTER_MS,
  type ReconnectPolicy,
} from './reconnect.ts';
export { decodeRefusal, notTowline, type RelayAnswer, type RetryAfter, readAnswer, retryAfterMs } from './relay-answer.ts';
export { parseRelayUrl, type RelayAddress, relayAddress } from './relay-url.ts';
export { explainRequestFault } from './request-fault.ts';
export type { LinkPlace } from './served-link.ts';
export type { Sleep } from './take-over.ts';
export { connectVerified, invalidCertWarning, type VerifiedRequest } from './trust/connect-verified.ts';
export { cancellation, type Deadline, startDeadline } from './trust/deadline.ts';
export { fingerprintOfKey, parseFingerprint } from './trust/fingerprint.ts';
export { checkHostName } from './trust/host-name.ts';
export { CONNECT_TIMEOUT_MS } from './trust/open-tls.ts';
export { parseCertificates, splitCertificates } from './trust/pem.ts';
export { type ConnectorOptions, createRelayConnector, type RelayConnector } from './trust/relay-connector.ts';
export { type ResolvedTrust, resolveTrust, type TrustRequest } from './trust/resolve-trust.ts';
export { explainVerdict } from './trust/tls-failure.ts';
export { TLS_POLICY } from './trust/tls-policy.ts';
export { acceptUpgrade } from './upgrade/accept-upgrade.ts';
export { readRefusal } from './upgrade/read-refusal.ts';
export { requestUpgrade, type UpgradeRequest } from './upgrade/request-upgrade.ts';
export { isUpgradeToken, UPGRADE_TOKEN } from './upgrade/upgrade-token.ts';
