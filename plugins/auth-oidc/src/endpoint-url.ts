/** Whether a URL is plain HTTP to this very machine, where nobody can listen in: for development. */
export function isLoopbackHttp({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** The URL of an endpoint that the provider names; null when it is none to which a secret may be sent. Loopback only from a loopback issuer. */
export function readEndpoint(value: unknown, issuer: URL): URL | null {
  if (typeof value !== 'string' || !URL.canParse(value)) return null;
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') return null;
  return url.protocol === 'https:' || (isLoopbackHttp(url) && isLoopbackHttp(issuer)) ? url : null;
}
