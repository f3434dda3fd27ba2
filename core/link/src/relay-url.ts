import { isIP } from 'node:net';
import { printable, TowlineError } from '@towline/protocol';

/** Where a relay listens, as sockets want it: an IPv6 address without brackets, the port always given. */
export interface RelayAddress {
  readonly host: string;
  readonly port: number;
  readonly isIp: boolean;
}

/**
 * Reads the URL of a relay as a person writes it. A missing scheme counts as https://.
 * @returns `https://HOST[:PORT]/` without path, query, fragment or user-info.
 * @throws TowlineError `relay_url` that says what is wrong.
 */
export function parseRelayUrl(text: string): URL {
  const trimmed = text.trim();
  refuseUnreadable(trimmed);
  const url = toUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`);
  refuseScheme(url);
  refuseExtras(url, trimmed);
  // The root dot of a full name is neither sent as server name nor found in certificates.
  const host = url.hostname.replace(/\.$/, '');
  if (host.split('.').includes('') || url.port === '0') throw invalid('names no host and port that can be reached');
  url.hostname = host;
  return new URL(url.origin);
}

/** Host and port of a relay's URL. The root dot of a full name is neither sent as server name nor found in certificates. */
export function relayAddress(relay: URL): RelayAddress {
  const host = relay.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return { host, port: relay.port === '' ? 443 : Number(relay.port), isIp: isIP(host) !== 0 };
}

/** The URL parser drops tabs and line breaks and turns backslashes around, so such a text would not mean what it shows. */
function refuseUnreadable(text: string): void {
  if (text === '') throw invalid('is empty');
  if (/[\s\p{Cc}\\]/u.test(text)) throw invalid('holds a space, a control character or a backslash');
}

function toUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new TowlineError('relay_url', 'The URL of the relay is not one that can be understood.', { cause });
  }
}

function refuseScheme(url: URL): void {
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:') {
    throw new TowlineError('relay_url', 'The URL of the relay begins with http://, but relays are only spoken to over TLS.', {
      hint: `Use https://${url.host} instead; without TLS a credential would be readable on the way.`,
    });
  }
  throw invalid(`begins with ${printable(url.protocol).slice(0, 40)}// where https:// is expected`);
}

/** The text of a URL with user-info is never shown: it may hold a password. */
function refuseExtras(url: URL, text: string): void {
  if (url.username !== '' || url.password !== '' || text.includes('@')) {
    throw invalid('holds a user name or password; credentials come from `towline login` or TOWLINE_API_KEY');
  }
  if (url.pathname !== '/') throw invalid(`has a path (${printable(url.pathname).slice(0, 80)}), where only host and port are expected`);
  if (url.search !== '' || url.hash !== '') throw invalid('has a query or fragment, where only host and port are expected');
}

function invalid(what: string): TowlineError {
  return new TowlineError('relay_url', `The URL of the relay ${what}.`);
}
