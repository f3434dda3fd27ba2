import { printable, TowlineError } from '@towline/protocol';
import { type RelayAddress, relayAddress } from '../relay-url.ts';

/** An HTTP proxy as a setting names it. */
export interface ProxyAddress extends RelayAddress {
  /** HOST:PORT, for people. */
  readonly name: string;
  /** Whether TLS is spoken to the proxy itself. */
  readonly secure: boolean;
  /** Value of Proxy-Authorization, which goes to the proxy and nowhere else. */
  readonly authorization?: string;
}

/** Ports by scheme, where a URL names none. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = Object.freeze({ 'http:': 80, 'https:': 443 });

/**
 * Reads the URL of a proxy: http:// or https://, perhaps with USER:PASSWORD@. A missing scheme counts as http://.
 * @throws TowlineError `config_invalid`, which never repeats the URL: it may hold a password.
 */
export function parseProxyUrl(text: string): ProxyAddress {
  const url = toUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  const defaultPort = DEFAULT_PORTS[url.protocol];
  if (defaultPort === undefined)
    throw invalid(`begins with ${printable(url.protocol).slice(0, 40)}//, where http:// or https:// is expected`);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') throw invalid('has more behind host and port');
  if (url.port === '0') throw invalid('names the port 0, on which nothing can listen');
  const { host, isIp } = relayAddress(url);
  const port = url.port === '' ? defaultPort : Number(url.port);
  const authorization = readCredential(url);
  return {
    host,
    port,
    isIp,
    name: `${url.hostname}:${port}`,
    secure: url.protocol === 'https:',
    ...(authorization === undefined ? {} : { authorization }),
  };
}

/** The URL parser's own error repeats what it was given, so it is not kept. */
function toUrl(text: string): URL {
  if (/[\s\p{Cc}\\]/u.test(text)) throw invalid('holds a space, a control character or a backslash');
  if (!URL.canParse(text)) throw invalid('is not a URL that can be understood');
  return new URL(text);
}

/** The Basic scheme (RFC 7617 section 2), in UTF-8: its user names hold no colon. */
function readCredential({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const user = decodePercent(username);
  if (user.includes(':')) throw invalid('has a user name with a colon, which proxies cannot be told');
  return `Basic ${Buffer.from(`${user}:${decodePercent(password)}`).toString('base64')}`;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a user name or password with a percent sign that stands for nothing; write it as %25');
  }
}

function invalid(what: string): TowlineError {
  return new TowlineError('config_invalid', `HTTPS_PROXY ${what}.`, {
    hint: 'Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; characters such as @ : / # ? % in a user name or password as %40 %3A %2F %23 %3F %25.',
  });
}
