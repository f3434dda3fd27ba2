import type { OpenSession, Principal, TowlineError } from '@towline/contract';
import type { DeviceRegistry } from '../links/registry.ts';
import type { Opener } from './judge-opening.ts';

/** A session whose streams this relay joins. */
export interface CarriedSession {
  readonly session: OpenSession;
  readonly opener: Opener;
  /** Whose it was when it was judged last. */
  principal: Principal;
  /** Breaks its streams. */
  destroy(error: TowlineError): void;
}

/** Ends a session on both ends: the device is told why in words, and the streams break with the code. */
export function endCarried(registry: DeviceRegistry, { session, destroy }: CarriedSession, error: TowlineError): void {
  const { id, deviceId } = session;
  for (const link of registry.linksOf(deviceId)) link.send({ type: 'end_session', session: id, code: error.code, message: error.message });
  destroy(error);
}
