import { connectProxy, type HttpProxy, openTunnel, relayAddress } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { resolveHost } from './dns.ts';
import { type Finding, ok } from './finding.ts';
import type { Subject } from './subject.ts';

/** Looks whether a proxy is set and is to be used for the relay, and connects to it. @throws TowlineError `config_invalid`, `relay_unreachable`. */
export async function checkProxy(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { env } = subject.context.host;
  const proxy = await subject.proxy();
  if (proxy === undefined) return ok(whyNone((await subject.target()).url, env));
  if (!proxy.isIp) await resolveHost(proxy.host, env, signal);
  const socket = await connectProxy(proxy, signal).catch((error: unknown) => {
    throw signal.aborted ? silent(`The proxy ${proxy.name} does not answer.`) : error;
  });
  socket.destroy();
  return ok(`Connections over TCP go through the proxy ${proxy.name}, which takes them. QUIC goes without it.`);
}

/** Has the proxy connect to the relay. @throws TowlineError `relay_unreachable` that tells the fault of the proxy from that of the way behind it. */
export async function checkTunnel(relay: URL, proxy: HttpProxy, signal: AbortSignal): Promise<Finding> {
  const { host, port } = relayAddress(relay);
  const socket = await openTunnel(proxy, relayAddress(relay), signal).catch((error: unknown) => {
    throw signal.aborted ? silent(`The proxy ${proxy.name} does not say whether it can connect to ${host} port ${port}.`) : error;
  });
  socket.destroy();
  return ok(`The proxy ${proxy.name} connects to ${host} port ${port}.`);
}

function whyNone(relay: URL, env: Host['env']): string {
  if (isSet(env, 'HTTPS_PROXY')) return `A proxy is set, but NO_PROXY names ${relay.hostname}: it is connected to directly.`;
  const unread = ['HTTP_PROXY', 'ALL_PROXY'].filter((name) => isSet(env, name));
  return unread.length === 0 ? 'No proxy is set.' : `No proxy is used: only HTTPS_PROXY is read, not ${unread.join(' or ')}.`;
}

function isSet(env: Host['env'], name: string): boolean {
  return Boolean((env[name.toLowerCase()] || env[name])?.trim());
}

function silent(what: string): TowlineError {
  return new TowlineError('relay_unreachable', what, {
    hint: 'Check HTTPS_PROXY; hosts that are reached without the proxy are named in NO_PROXY.',
  });
}
