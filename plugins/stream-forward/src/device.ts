import type { DeviceContext, DeviceHandler, PreparedSession } from '@towline/contract';
import { connectTcp, connectUnix } from './device/connect.ts';
import { allowedAddresses, createResolveHost, notAllowed, type ResolveHost } from './device/resolve-host.ts';
import { connectionSession } from './device/serve-tcp.ts';
import { flowSession } from './device/serve-udp.ts';
import { allowedSocket } from './device/unix-path.ts';
import { REACH_MS } from './limits.ts';
import { FORWARD_PROTOCOL, type ForwardBody, forwardBodySchema, type TargetRange } from './messages.ts';
import { type AllowList, createAllowList } from './target/allow-list.ts';
import { type NetworkTarget, readTarget, type Target } from './target/target.ts';

export { parseAllowPattern } from './target/allow-pattern.ts';

/**
 * Device half: connects to the target, if the list allows the very address, before it accepts the opening, so that whatever fails is
 * told as a refusal. @throws TowlineError `config_invalid` for a list that is not valid.
 */
export function createHandler(allow: readonly string[]): DeviceHandler<ForwardBody> {
  const list = createAllowList(allow);
  const parts: Parts = { list, resolve: createResolveHost() };
  return {
    name: 'forward',
    protocol: FORWARD_PROTOCOL,
    body: forwardBodySchema,
    runsPrograms: false,
    countsAs: 'connection',
    prepare: (body, context) => ('check' in body ? check(body.check, parts, context) : open(readTarget(body.target), parts, context)),
  };
}

interface Parts {
  readonly list: AllowList;
  readonly resolve: ResolveHost;
}

async function open(target: Target, { list, resolve }: Parts, { signal, account }: DeviceContext): Promise<PreparedSession> {
  const patience = { signal, untilMs: performance.now() + REACH_MS };
  if (target.kind === 'unix') {
    await using socket = await allowedSocket(target, list);
    return connectionSession(await connectUnix(socket.path, patience));
  }
  const addresses = allowedAddresses(target, await resolve(target.host, { account, signal }), list);
  if (target.kind === 'udp') return await flowSession(addresses[0]!, target.port);
  return connectionSession(await connectTcp(addresses, target.port, patience));
}

/** Says whether targets are allowed, and connects to none. */
async function check(
  ranges: readonly TargetRange[],
  { list, resolve }: Parts,
  { signal, account }: DeviceContext,
): Promise<PreparedSession> {
  for (const range of ranges) {
    if (range.kind === 'unix') await (await allowedSocket(range, list))[Symbol.asyncDispose]();
    else {
      const first = readTarget(range) as NetworkTarget;
      const found = await resolve(first.host, { account, signal });
      const judges = found.map((address) => list.judgeAddress(first, address));
      for (let port = range.port; port <= range.last_port; port += 1)
        if (!judges.some((allows) => allows(port))) throw notAllowed({ ...first, port });
    }
  }
  return { answer: {}, run: async () => ({ reason: 'ended' }) };
}
