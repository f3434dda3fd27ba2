import { type Device, type Principal, type Role, TowlineError } from '@towline/contract';
import { deviceNameFault, parseScope } from '@towline/protocol';
import { z } from 'zod';
import { actorOf } from '../../access/actor.ts';
import { findDevice } from '../../access/find-device.ts';
import { callerOf, requireRole, roleOn } from '../../access/roles.ts';
import { insertDeviceKey } from '../../enrolment/claim.ts';
import type { EnrolmentParts } from '../../enrolment/parts.ts';
import { removeDevice } from '../../enrolment/remove.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { deviceView, listView, sessionView } from '../views.ts';

/** Keys a device may have that it has not taken up: a rotation or two whose answers were lost. */
const MAX_UNSETTLED_KEYS = 4;

/** What the routes of devices work with. */
export interface DeviceRouteParts extends EnrolmentParts {
  readonly registry: DeviceRegistry;
  /** Has live links of what was just revoked closed at once. */
  readonly enforce: () => Promise<void>;
}

/** A device by exact id, exact name, or unambiguous prefix of its id. */
const byName = z.object({ device: z.string().min(1).max(255) });
const listQuery = z.object({ ...pageQuery, scope: z.string().max(320).optional() });

/** Routes of enrolled devices. */
export function deviceRoutes(app: HttpServer, parts: DeviceRouteParts): void {
  const { store, registry } = parts;
  const find = async (principal: Principal, named: string, needed: Role): Promise<Device> => {
    const device = await findDevice(store.devices, named, callerOf(principal));
    requireRole(principal, device.owner, needed);
    return device;
  };

  app.get('/v1/devices', { schema: { querystring: listQuery } }, async (request) => {
    const owner = request.query.scope === undefined ? null : parseScope(request.query.scope);
    if (request.query.scope !== undefined && owner === null)
      throw new TowlineError('invalid_request', 'scope: expected user:EMAIL or org:ID.');
    const page = await store.devices.list(owner === null ? {} : { owner }, pageOf(request.query), callerOf(principalOf(request)));
    return listView(page, (device) => deviceView(device, registry.get(device.id)));
  });

  app.get('/v1/devices/:device', { schema: { params: byName } }, async (request) => {
    const device = await find(principalOf(request), request.params.device, 'viewer');
    return deviceView(device, registry.get(device.id));
  });

  app.patch(
    '/v1/devices/:device',
    { schema: { params: byName, body: z.strictObject({ name: z.string().min(1).max(255) }) } },
    async (request) => {
      const principal = principalOf(request);
      const device = await find(principal, request.params.device, 'admin');
      const { name } = request.body;
      const fault = deviceNameFault(name);
      if (fault !== null) throw new TowlineError('invalid_request', `name: ${fault}.`);
      const renamed = await store.devices.update(device.id, { name }, device.revision, callerOf(principal));
      await recordChange(parts, {
        action: 'device.renamed',
        device: renamed,
        principal,
        address: request.ip,
        detail: { from: device.name },
      });
      return deviceView(renamed, registry.get(device.id));
    },
  );

  app.delete(
    '/v1/devices/:device',
    { schema: { params: byName, querystring: z.object({ reason: z.string().max(500).optional() }) } },
    async (request, reply) => {
      const principal = principalOf(request);
      const device = await find(principal, request.params.device, 'admin');
      const reason = request.query.reason === undefined ? {} : { reason: request.query.reason };
      await removeDevice(parts, device, { actor: actorOf(principal), address: request.ip, caller: callerOf(principal), ...reason });
      await parts.enforce();
      return reply.status(204).send();
    },
  );

  app.post('/v1/devices/:device/rotate', { schema: { params: byName } }, async (request) => {
    const principal = principalOf(request);
    const device = await find(principal, request.params.device, 'admin');
    const link = registry.get(device.id);
    if (link === null) throw new TowlineError('device_offline', 'The device is offline; its key can be renewed while it is linked.');
    const { items } = await store.keys.list(
      { kind: 'device', deviceId: device.id },
      { limit: MAX_UNSETTLED_KEYS + 1 },
      callerOf(principal),
    );
    if (items.length > MAX_UNSETTLED_KEYS) {
      throw new TowlineError('conflict', 'The device has not taken up the keys it was sent.', {
        hint: 'Look at its log; restart its runtime.',
      });
    }
    const key = await insertDeviceKey(parts, device, principal.label);
    link.send({ type: 'rotate', api_key: key.text });
    await recordChange(parts, { action: 'device.key_rotated', device, principal, address: request.ip, detail: { key: key.id } });
    return { key_id: key.id };
  });

  app.get('/v1/devices/:device/sessions', { schema: { params: byName, querystring: z.object(pageQuery) } }, async (request) => {
    const principal = principalOf(request);
    const device = await find(principal, request.params.device, 'viewer');
    const admin = roleOn(principal, device.owner) === 'admin';
    const page = await store.sessions.list({ deviceId: device.id }, pageOf(request.query), callerOf(principal));
    return listView(page, (session) => sessionView(session, admin || session.actor.id === principal.id));
  });
}

async function recordChange(
  parts: EnrolmentParts,
  change: { action: string; device: Device; principal: Principal; address: string; detail: Record<string, string> },
): Promise<void> {
  await parts.audit({
    at: parts.clock.now(),
    action: change.action,
    actor: actorOf(change.principal),
    address: change.address,
    device: { id: change.device.id, name: change.device.name },
    owner: change.device.owner,
    outcome: 'ok',
    detail: change.detail,
  });
}
