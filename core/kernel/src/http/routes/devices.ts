import { type Device, type Principal, roleIncludes, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { deviceNameFault } from '@towline/protocol';
import { z } from 'zod';
import { actorOf } from '../../access/actor.ts';
import { RIGHTS, type RightName } from '../../access/rights.ts';
import { callerOf, roleOnDevice } from '../../access/roles.ts';
import { insertDeviceKey } from '../../enrolment/claim.ts';
import type { EnrolmentParts } from '../../enrolment/parts.ts';
import { removeDevice } from '../../enrolment/remove.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import { findVisibleDevice, visibleDevices } from '../../sharing/find-visible.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { deviceView, listView, sessionView } from '../views.ts';
import { optionalScopeOf, reasonField, scopeField } from './fields.ts';

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
const listQuery = z.object({ ...pageQuery, scope: scopeField.optional() });

/** Routes of enrolled devices. */
export function deviceRoutes(app: HttpServer, parts: DeviceRouteParts): void {
  const { store, registry, clock } = parts;
  const find = (principal: Principal, named: string, right: RightName): Promise<Device> =>
    findVisibleDevice({ store, principal, now: clock.now() }, named, right);
  // Whoever sees none of it any more was admin a moment ago: the answer is about what they did then.
  const viewOf = (device: Device, principal: Principal) =>
    deviceView(device, registry.get(device.id), roleOnDevice(principal, device, clock.now()) ?? 'viewer');

  app.get('/v1/devices', { schema: { querystring: listQuery } }, async (request) => {
    const owner = optionalScopeOf(request.query.scope, 'scope');
    const principal = principalOf(request);
    const visible = visibleDevices({ store, principal, now: clock.now() });
    const page = await visible.list(owner === null ? {} : { owner }, pageOf(request.query), callerOf(principal));
    return listView(page, (device) => viewOf(device, principal));
  });

  app.get('/v1/devices/:device', { schema: { params: byName } }, async (request) => {
    const principal = principalOf(request);
    return viewOf(await find(principal, request.params.device, 'device.see'), principal);
  });

  app.patch(
    '/v1/devices/:device',
    { schema: { params: byName, body: z.strictObject({ name: z.string().min(1).max(255) }) } },
    async (request) => {
      const principal = principalOf(request);
      const device = await find(principal, request.params.device, 'device.rename');
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
      return viewOf(renamed, principal);
    },
  );

  app.delete(
    '/v1/devices/:device',
    { schema: { params: byName, querystring: z.object({ reason: reasonField.optional() }) } },
    async (request, reply) => {
      const principal = principalOf(request);
      const device = await find(principal, request.params.device, 'device.remove');
      const reason = request.query.reason === undefined ? {} : { reason: request.query.reason };
      await removeDevice(parts, device, { actor: actorOf(principal), address: request.ip, caller: callerOf(principal), ...reason });
      await parts.enforce();
      return reply.status(204).send();
    },
  );

  app.post('/v1/devices/:device/rotate', { schema: { params: byName } }, async (request) => {
    const principal = principalOf(request);
    const device = await find(principal, request.params.device, 'device.rotate');
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
    const device = await find(principal, request.params.device, 'device.see');
    const inDetail = roleIncludes(roleOnDevice(principal, device, clock.now()) ?? 'viewer', RIGHTS['session.end'].role);
    // Whoever sees the device sees its sessions, also where it is not their scope's.
    const page = await store.sessions.list({ deviceId: device.id }, pageOf(request.query), SYSTEM_SCOPE);
    return listView(page, (session) => sessionView(session, inDetail || session.actor.id === principal.id));
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
