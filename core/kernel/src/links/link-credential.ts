import type { Principal } from '@towline/contract';

/** By whose credential a link lives. A client may renew it. */
export interface LinkCredential {
  /** As the provider gave it: what it counts for is asked anew whenever something is done by it. */
  readonly claimed: Principal;
  renew(claimed: Principal): void;
  /** Called after each renewal; the last one that was given counts. */
  onRenewed(listener: () => void): void;
}

/** Begins with the credential that the link came with. */
export function createLinkCredential(first: Principal): LinkCredential {
  let claimed = first;
  let renewed = () => {};
  return {
    get claimed() {
      return claimed;
    },
    renew(next) {
      claimed = next;
      renewed();
    },
    onRenewed(listener) {
      renewed = listener;
    },
  };
}
