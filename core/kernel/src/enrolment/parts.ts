import type { AuditEvent, Clock, Store } from '@towline/contract';
import type { GrantKeyRecord } from '@towline/protocol';

/** How registration is bounded. Times in milliseconds. */
export interface EnrolmentLimits {
  readonly expiryMs: number;
  readonly maxPendingPerOwner: number;
  readonly maxPendingPerAddress: number;
}

/** What enrolment works with. */
export interface EnrolmentParts {
  readonly store: Store;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  readonly relayId: string;
  readonly grantKeys: () => readonly GrantKeyRecord[];
  readonly limits: EnrolmentLimits;
}

/** How long an approved request waits for its device to fetch the credential, milliseconds: a device that is off over a holiday. */
export const APPROVED_LIFE_MS = 14 * 86_400_000;
/** Pause between two claims of a pending request, milliseconds. */
export const CLAIM_POLL_MS = 2_000;
