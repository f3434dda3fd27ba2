import { type Store, TowlineError } from '@towline/contract';
import { idSchema, printable, type SessionId } from '@towline/protocol';
import { z } from 'zod';
import { callerOf, requireRole } from '../../access/roles.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import { type HttpServer, principalOf } from '../server.ts';

/** Routes of open sessions. */
export function sessionRoutes(app: HttpServer, { store, registry }: { readonly store: Store; readonly registry: DeviceRegistry }): void {
  app.delete('/v1/sessions/:id', { schema: { params: z.object({ id: idSchema }) } }, async (request, reply) => {
    const principal = principalOf(request);
    const session = await store.sessions.get(request.params.id as SessionId, callerOf(principal));
    if (session === null) throw new TowlineError('not_found', 'No such open session, or it is not yours to end.');
    if (session.actor.id !== principal.id) requireRole(principal, session.owner, 'admin');
    const link = registry.get(session.deviceId);
    if (link === null) throw new TowlineError('device_offline', 'The device is offline; what ran on it ended with its link.');
    link.send({ type: 'end_session', session: session.id, code: 'session_ended', message: `Ended by ${printable(principal.label)}.` });
    return reply.status(202).send();
  });
}
