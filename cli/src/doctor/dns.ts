import { relayAddress } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { type Finding, ok } from './finding.ts';
import { lookUp } from './look-up.ts';
import type { Subject } from './subject.ts';

/** Addresses that are named; a name may have dozens. */
const SHOWN_ADDRESSES = 4;

/** Looks the name of the relay up, unless a proxy does. @throws TowlineError `relay_unreachable`. */
export async function checkDns(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { host, isIp } = relayAddress((await subject.target()).url);
  if (isIp) return ok(`${host} is an address, so no name has to be looked up.`);
  // What is wrong with the proxy is the business of its own check.
  const proxied = await subject.proxy().then(
    (proxy) => proxy !== undefined,
    () => false,
  );
  if (proxied) return ok(`The proxy looks ${host} up; this machine need not know it.`);
  const addresses = await resolveHost(host, subject.context.host.env, signal);
  const more = addresses.length > SHOWN_ADDRESSES ? ` and ${addresses.length - SHOWN_ADDRESSES} more` : '';
  return ok(`${host} is ${addresses.slice(0, SHOWN_ADDRESSES).join(', ')}${more}.`);
}

/** Addresses of a host name. @throws TowlineError `relay_unreachable` that tells an unknown name from silent servers. */
export async function resolveHost(host: string, env: Host['env'], signal: AbortSignal): Promise<readonly string[]> {
  const found = await lookUp(host, env, signal).catch((error: unknown) => {
    throw signal.aborted ? silent(host) : error;
  });
  if ('addresses' in found) return found.addresses;
  throw found.code === 'EAI_AGAIN' ? silent(host) : unknown(host, found.code);
}

function unknown(host: string, code: string): TowlineError {
  const why = code === 'ENOTFOUND' ? '' : ` (${code})`;
  return new TowlineError('relay_unreachable', `The name ${host} is not known to DNS${why}.`, {
    hint: 'Check its spelling; if it is right, the name servers of this network do not know it.',
  });
}

function silent(host: string): TowlineError {
  return new TowlineError('relay_unreachable', `DNS did not answer for the name ${host}.`, {
    hint: 'Check that this machine has a network, and the name servers it uses (/etc/resolv.conf).',
  });
}
