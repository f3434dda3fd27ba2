import { lookup } from 'node:dns/promises';
import { TowlineError } from '@towline/protocol';
import { LOOK_UP_MS, LOOK_UPS, MAX_ADDRESSES, MAX_FOUND } from '../limits.ts';
import { type Address, parseAddress } from '../target/address.ts';
import type { AllowList } from '../target/allow-list.ts';
import type { Host } from '../target/host.ts';
import { type NetworkTarget, targetMessage, targetText } from '../target/target.ts';
import { type Asker, createTurns, type Turns } from './turns.ts';

/** What localhost is, whatever the resolver of the device says (RFC 6761, section 6.3). */
const LOCAL_ADDRESSES: readonly Address[] = Object.freeze(['127.0.0.1', '::1'].map((text) => parseAddress(text)!));

/** Finds the addresses of a host. Whoever connects takes one of those that were judged, and does not look the name up again. */
export type ResolveHost = (host: Host, asker: Asker) => Promise<readonly Address[]>;

/** Makes it, with bounds on look-ups at a time: one user's names that nobody answers for must not keep those of others waiting. */
export function createResolveHost(): ResolveHost {
  const turns = createTurns(LOOK_UPS);
  return async (host, asker) => {
    if (host.kind === 'address') return [host.address];
    return host.name === 'localhost' ? LOCAL_ADDRESSES : await lookUp(host.name, turns, asker);
  };
}

/** Those of the addresses found that a target may be reached at, a few at most. @throws TowlineError `target_not_allowed` when there is none. */
export function allowedAddresses(target: NetworkTarget, found: readonly Address[], allow: AllowList): readonly Address[] {
  const allowed = found.filter((address) => allow.allowsAddress(target, address));
  // What a name leads to inside of a network is not told to whoever may not go there.
  if (allowed.length === 0) throw notAllowed(target);
  return allowed.slice(0, MAX_ADDRESSES);
}

/** The error for a target that the device's list does not mean. */
export function notAllowed(target: Parameters<typeof targetMessage>[0]): TowlineError {
  const text = targetText(targetMessage(target));
  return new TowlineError('target_not_allowed', `The device does not allow forwards to ${text}.`, {
    hint: `Its owner can list “${target.kind === 'unix' ? 'unix:' : ''}${text}” under \`allow\` in device.yaml.`,
  });
}

async function lookUp(name: string, turns: Turns, { account, signal }: Asker): Promise<Address[]> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(LOOK_UP_MS)]);
  try {
    const found = await turns(() => lookup(name, { all: true, order: 'verbatim' }), { account, signal: late });
    const addresses = found.slice(0, MAX_FOUND).map(({ address }) => parseAddress(address));
    return addresses.filter((address) => address !== null);
  } catch (error) {
    if (late.aborted) throw new TowlineError('target_timeout', 'The name of the target could not be looked up in time.');
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EAI_AGAIN')
      throw new TowlineError('target_not_found', `The device cannot look up ${name}: its resolver does not answer.`);
    throw new TowlineError('target_not_found', `The device knows no host of the name ${name}.`);
  }
}
