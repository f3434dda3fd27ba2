import type { Duplex } from 'node:stream';
import type { Link } from '@towline/contract';
import type { CreditBudget } from './credit-budget.ts';
import { DEFAULT_LINK_LIMITS, type LinkLimits } from './link-limits.ts';
import { MuxLink } from './mux-link.ts';
import type { LinkRole } from './stream-table.ts';

/** How a link is made. */
export interface LinkOptions {
  /** Clients open towards the relay, the relay opens towards devices. */
  readonly role: LinkRole;
  readonly limits?: Partial<LinkLimits>;
  /** Bytes that the receive windows of all links with this budget may have grown by together. */
  readonly sharedGrowth?: CreditBudget;
}

/**
 * Makes a link of a connected and authenticated duplex, which the link owns from here on. Set `onStream` in the
 * same turn: bytes may be waiting in the duplex already.
 */
export function createLink(duplex: Duplex, options: LinkOptions): Link {
  const limits = { ...DEFAULT_LINK_LIMITS, ...options.limits };
  return new MuxLink(duplex, { role: options.role, limits, sharedGrowth: options.sharedGrowth });
}
