import { type Device, type Principal, roleIncludes, type Share, TowlineError } from '@towline/contract';
import { printable } from '@towline/protocol';
import { RIGHTS } from '../access/rights.ts';
import { accessTo, type DeviceAccess } from '../access/roles.ts';

/** What a share gives, to whomever. */
export type Given = Pick<Share, 'role' | 'streams' | 'until'>;

/** Whether a share gives nothing beyond a way to reach the device. */
export function isWithin(given: Given, way: Pick<DeviceAccess, 'role'> & Partial<Pick<DeviceAccess, 'streams' | 'until'>>): boolean {
  const inTime = way.until === undefined || (given.until !== undefined && given.until <= way.until);
  return roleIncludes(way.role, given.role) && inTime && areWithin(given.streams, way.streams);
}

/** Whether a limit lies within another one; undefined: no limit. */
export function areWithin(asked: readonly string[] | undefined, own: readonly string[] | undefined): boolean {
  return own === undefined || (asked?.every((each) => own.includes(each)) ?? false);
}

/**
 * Nobody gives or takes more of a device than one of their own ways of reaching it has, of those by which they may share it.
 * @throws TowlineError `forbidden`.
 */
export function requireWithin(principal: Principal, device: Device, { given, now }: { readonly given: Given; readonly now: number }): void {
  const ways = accessTo(principal, device, now).filter(({ role }) => roleIncludes(role, RIGHTS['device.share'].role));
  if (ways.some((way) => isWithin(given, way))) return;
  throw new TowlineError(
    'forbidden',
    `That is more of ${printable(device.name)} than you have yourself: ${ways.map(wayText).join('; or ')}.`,
    {
      hint: 'Stay within it, or ask an admin of the owner.',
    },
  );
}

function wayText({ role, streams, until }: DeviceAccess): string {
  const limit = streams === undefined ? 'all streams' : `the streams ${streams.join(', ') || '(none)'}`;
  return `${role} for ${limit}${until === undefined ? '' : ` until ${new Date(until).toISOString()}`}`;
}
