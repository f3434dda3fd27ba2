import { isTowlineError, TowlineError } from '@towline/protocol';
import { describeVerdict, explainNetworkError } from '../trust/tls-failure.ts';
import type { HttpProxy } from './resolve-proxy.ts';

const CHECK_SETTING = 'Check HTTPS_PROXY; hosts that are reached without it are named in NO_PROXY.';

/** Why a proxy could not be connected to. `verdict` is what OpenSSL said about its certificate, if it came to that. */
export function explainProxyConnection(error: Error, verdict: unknown, proxy: HttpProxy): TowlineError {
  if (verdict || isTowlineError(error)) return untrusted(error, verdict, proxy);
  const { message } = explainNetworkError(error, proxy);
  return new TowlineError('relay_unreachable', `The proxy cannot be reached: ${message}`, { hint: CHECK_SETTING, cause: error });
}

/** A proxy's certificate has nothing to do with the relay's, so neither have the code and the hint. */
function untrusted(cause: Error, verdict: unknown, { name }: HttpProxy): TowlineError {
  const [what] = isTowlineError(cause) ? ['is not for that name'] : describeVerdict(String(verdict));
  return new TowlineError('relay_unreachable', `The certificate of the proxy ${name} ${what}.`, {
    hint: 'Proxies are verified by the roots of the system, or the file that SSL_CERT_FILE names. Check HTTPS_PROXY.',
    cause,
  });
}

/** Why a proxy that was connected to gave no answer that can be read. */
export function explainProxySilence(error: NodeJS.ErrnoException, { name }: HttpProxy): TowlineError {
  if (isTowlineError(error)) return error;
  const what = error.code?.startsWith('HPE_') ? 'answers with something that is not HTTP' : 'closed the connection without an answer';
  return new TowlineError('relay_unreachable', `The proxy ${name} ${what}.`, { hint: CHECK_SETTING, cause: error });
}

/** What a proxy meant by a status other than 200. `target` is the relay's HOST:PORT. */
export function explainProxyRefusal(status: number, proxy: HttpProxy, target: string): TowlineError {
  const [what, hint] = readStatus(status, proxy);
  return new TowlineError('relay_unreachable', `The proxy ${proxy.name} ${what} ${target} (status ${status}).`, { hint });
}

/** 407 is what asks for a credential (RFC 9110 section 15.5.8); tinyproxy answers 401 to a wrong one. */
function readStatus(status: number, { authorization }: HttpProxy): readonly [what: string, hint: string] {
  const wantsLogin = status === 407 || status === 401;
  if (wantsLogin && authorization === undefined)
    return ['asks for a user name and password before it connects to', 'Put them into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT.'];
  if (wantsLogin)
    return ['does not accept the user name and password of HTTPS_PROXY for', 'Correct them there; only Basic authentication is supported.'];
  if (status >= 500) return ['could not connect to', 'Check the URL of the relay, and that the proxy can reach it.'];
  // Node takes an interim status for the answer to CONNECT. No proxy is known to send one.
  if (status < 200) return ['does not say whether it connects to', CHECK_SETTING];
  return [
    'refuses to connect to',
    'Have its operator allow CONNECT to this host and port, or name the host in NO_PROXY if it can be reached directly.',
  ];
}
