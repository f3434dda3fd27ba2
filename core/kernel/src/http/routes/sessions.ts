import { type AuditEvent, type Clock, isTowlineError, type OpenSession, type Principal, type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { idSchema, printable, type SessionId } from '@towline/protocol';
import { z } from 'zod';
import { actorOf } from '../../access/actor.ts';
import { requireOnDevice, requireOnScope, roleOnDevice } from '../../access/roles.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import { type HttpServer, principalOf } from '../server.ts';

/** Time for a device to end a session by itself, milliseconds; then the relay breaks its streams. */
const END_GRACE_MS = 2_000;

/** What the routes of sessions work with. */
export interface SessionRouteParts {
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly joined: ReadonlyMap<string, (error: TowlineError) => void>;
  readonly clock: Clock;
}

/** Routes of open sessions. */
export function sessionRoutes(app: HttpServer, { store, registry, audit, joined, clock }: SessionRouteParts): void {
  app.delete('/v1/sessions/:id', { schema: { params: z.object({ id: idSchema }) } }, async (request, reply) => {
    const principal = principalOf(request);
    const session = await findSession(store, { id: request.params.id as SessionId, principal, now: clock.now() });
    if (registry.get(session.deviceId) === null)
      throw new TowlineError('device_offline', 'The device is offline; what ran on it ended with its link.');
    const { id, deviceId, deviceName, owner, protocol } = session;
    const device = { id: deviceId, name: deviceName };
    await audit({
      at: clock.now(),
      action: 'session.end_requested',
      actor: actorOf(principal),
      address: request.ip,
      device,
      owner,
      session: id,
      protocol,
      outcome: 'ok',
    });
    const error = new TowlineError('session_ended', `Ended by ${printable(principal.label)}.`);
    for (const each of registry.linksOf(deviceId))
      each.send({ type: 'end_session', session: id, code: error.code, message: error.message });
    setTimeout(() => joined.get(id)?.(error), END_GRACE_MS).unref();
    return reply.status(202).send();
  });
}

/** A session that the principal may end: their own, or by the right on the device. @throws TowlineError `not_found`, `forbidden`. */
async function findSession(
  store: Store,
  { id, principal, now }: { readonly id: SessionId; readonly principal: Principal; readonly now: number },
): Promise<OpenSession> {
  const absent = new TowlineError('not_found', 'No such open session, or it is not yours to end.');
  const session = await store.sessions.get(id, SYSTEM_SCOPE);
  if (session === null || (principal.devices !== undefined && !principal.devices.includes(session.deviceId))) throw absent;
  const own = session.actor.id === principal.id;
  if (own && !principal.bounded) return session;
  const device = await store.devices.get(session.deviceId, SYSTEM_SCOPE);
  // A key that its user made may be for some scopes alone: it ends what is on devices that it sees.
  if (own && device !== null && roleOnDevice(principal, device, now) !== null) return session;
  try {
    if (device === null) requireOnScope(principal, session.owner, 'session.end');
    else requireOnDevice(principal, device, 'session.end', now);
  } catch (error) {
    throw isTowlineError(error) && error.code === 'not_found' ? absent : error;
  }
  return session;
}
