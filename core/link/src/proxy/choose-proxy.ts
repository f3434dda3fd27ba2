import { relayAddress } from '../relay-url.ts';
import { bypassesProxy } from './no-proxy.ts';
import { type ProxyAddress, parseProxyUrl } from './proxy-url.ts';

/**
 * The proxy that TCP connections to a relay go through: that of HTTPS_PROXY unless NO_PROXY names the relay, each also
 * in lower case, which counts first. Nothing else of the environment is asked. @throws TowlineError `config_invalid`.
 */
export function chooseProxy(relay: URL, environment: NodeJS.ProcessEnv): ProxyAddress | undefined {
  const url = readSetting(environment, 'HTTPS_PROXY');
  if (url === '' || bypassesProxy(readSetting(environment, 'NO_PROXY'), relayAddress(relay))) return undefined;
  return parseProxyUrl(url);
}

function readSetting(environment: NodeJS.ProcessEnv, name: string): string {
  return (environment[name.toLowerCase()] || environment[name] || '').trim();
}
