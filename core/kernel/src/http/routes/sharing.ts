import { defined } from '@towline/protocol';
import { z } from 'zod';
import { roleOnDevice } from '../../access/roles.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import type { ChangeParts } from '../../people/change.ts';
import { findVisibleDevice } from '../../sharing/find-visible.ts';
import { shareDevice, unshareDevice } from '../../sharing/share.ts';
import { transferDevice } from '../../sharing/transfer.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { accessView, deviceView } from '../views.ts';
import { momentField, roleField, scopeField, scopeOf, streamsField } from './fields.ts';

/** A device by exact id, exact name, or unambiguous prefix of its id. */
const byName = z.object({ device: z.string().min(1).max(255) });
const byScope = z.object({ ...byName.shape, scope: scopeField });
const share = z.strictObject({ role: roleField, streams: streamsField.optional(), until: momentField.optional() });

/** Routes by which devices are shared and transferred. */
export function sharingRoutes(app: HttpServer, parts: ChangeParts & { readonly registry: DeviceRegistry }): void {
  const { store, clock, registry } = parts;

  app.get('/v1/devices/:device/access', { schema: { params: byName } }, async (request) => {
    const looking = { store, principal: principalOf(request), now: clock.now() };
    return accessView(await findVisibleDevice(looking, request.params.device, 'device.share'), looking.now);
  });

  app.put('/v1/devices/:device/access/:scope', { schema: { params: byScope, body: share } }, async (request) => {
    const asker = { principal: principalOf(request), address: request.ip };
    const { role, streams, until } = request.body;
    const scope = scopeOf(request.params.scope, 'scope');
    const { id } = await findVisibleDevice({ store, ...asker, now: clock.now() }, request.params.device, 'device.share');
    const given = { scope, role, ...defined({ streams, until: until === undefined ? undefined : Date.parse(until) }) };
    return accessView(await shareDevice(parts, asker, { id, request: given }), clock.now());
  });

  app.delete('/v1/devices/:device/access/:scope', { schema: { params: byScope } }, async (request, reply) => {
    const asker = { principal: principalOf(request), address: request.ip };
    const scope = scopeOf(request.params.scope, 'scope');
    const { id } = await findVisibleDevice({ store, ...asker, now: clock.now() }, request.params.device, 'device.share');
    await unshareDevice(parts, asker, { id, scope });
    return reply.status(204).send();
  });

  app.post('/v1/devices/:device/transfer', { schema: { params: byName, body: z.strictObject({ owner: scopeField }) } }, async (request) => {
    const asker = { principal: principalOf(request), address: request.ip };
    const to = scopeOf(request.body.owner, 'owner');
    const { id } = await findVisibleDevice({ store, ...asker, now: clock.now() }, request.params.device, 'device.transfer');
    const moved = await transferDevice(parts, asker, { id, to });
    // Whoever moved it is admin of where it is now.
    return deviceView(moved, registry.get(id), roleOnDevice(asker.principal, moved, clock.now()) ?? 'admin');
  });
}
