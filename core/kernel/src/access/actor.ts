import type { AuditActor, Principal } from '@towline/contract';
import { defined } from '@towline/protocol';

/** A principal as the audit trail names it. */
export function actorOf(principal: Principal): AuditActor {
  return {
    kind: principal.kind,
    id: principal.id,
    label: principal.label,
    provider: principal.provider,
    ...defined({ email: principal.email, keyId: principal.keyId }),
  };
}

/** Somebody who has not proved who they are. */
export const NOBODY: AuditActor = Object.freeze({ kind: 'nobody', id: '-', label: '-' });

/** The relay itself, or whoever works on its store by the rescue command. */
export const OPERATOR: AuditActor = Object.freeze({ kind: 'operator', id: 'operator', label: 'operator of the relay' });
