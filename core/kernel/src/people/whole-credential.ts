import { type Principal, TowlineError } from '@towline/contract';

/** Whether a credential is limited to some streams or devices. */
export function isLimited({ streams, devices }: Principal): boolean {
  return streams !== undefined || devices !== undefined;
}

/**
 * What gives rights on everything that a scope owns is not for a credential that has only some of them: it would give more
 * than it has. @throws TowlineError `forbidden`.
 */
export function requireWhole(principal: Principal): void {
  if (!isLimited(principal)) return;
  throw new TowlineError('forbidden', 'This credential is limited to some streams or devices, so it cannot do this.', {
    hint: 'Use a login, or a key without such limits.',
  });
}
