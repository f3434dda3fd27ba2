import type { Link, Principal } from '@towline/contract';

/** Longest timer of Node, milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Ends a link when the credential that it came with expires. */
export function endAtExpiry(link: Link, { expiresAt }: Principal, nowMs: () => number = Date.now): void {
  if (expiresAt === undefined) return;
  let timer: NodeJS.Timeout;
  const look = () => {
    const leftMs = expiresAt - nowMs();
    if (leftMs <= 0) void link.close('key_expired');
    else timer = setTimeout(look, Math.min(leftMs, LONGEST_TIMER_MS));
  };
  look();
  void link.closed.then(() => clearTimeout(timer));
}
