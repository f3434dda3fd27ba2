import type { Link } from '@towline/contract';
import { expiryCode } from '../access/settle.ts';
import type { LinkCredential } from '../links/link-credential.ts';

/** Longest timer of Node, milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Ends a link when the credential by which it lives expires, which may be a later one than that it came with. */
export function endAtExpiry(link: Link, credential: LinkCredential, nowMs: () => number = Date.now): void {
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    clearTimeout(timer);
    const { claimed } = credential;
    if (claimed.expiresAt === undefined) return;
    const leftMs = claimed.expiresAt - nowMs();
    if (leftMs <= 0) void link.close(expiryCode(claimed));
    else timer = setTimeout(look, Math.min(leftMs, LONGEST_TIMER_MS));
  };
  credential.onRenewed(look);
  look();
  void link.closed.then(() => {
    credential.onRenewed(() => {});
    clearTimeout(timer);
  });
}
