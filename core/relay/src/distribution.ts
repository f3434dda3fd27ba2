/** The packages whose plugins a relay has without being told. The one place that names them. */
export const DISTRIBUTION: readonly string[] = Object.freeze([
  '@towline/store-sqlite',
  '@towline/store-mongo',
  '@towline/auth-apikey',
  '@towline/auth-oidc',
  '@towline/auth-jwt',
  '@towline/auth-basic',
  '@towline/audit',
  '@towline/stream-shell',
  '@towline/stream-exec',
  '@towline/stream-files',
  '@towline/stream-forward',
  '@towline/transport-tls',
  '@towline/transport-quic',
]);
