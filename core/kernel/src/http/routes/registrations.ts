import { type Principal, type Registration, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type DeviceId, idSchema, parseScope, type RegistrationId } from '@towline/protocol';
import { z } from 'zod';
import { actorOf } from '../../access/actor.ts';
import { callerOf, requireOnScope, roleOnDevice } from '../../access/roles.ts';
import { approveRegistration, type Decider, rejectRegistration } from '../../enrolment/approve.ts';
import { claimCredential } from '../../enrolment/claim.ts';
import { CLAIM_POLL_MS, type EnrolmentParts } from '../../enrolment/parts.ts';
import { createEnrolmentIntake } from '../../enrolment/request.ts';
import type { DeviceRegistry } from '../../links/registry.ts';
import { refuseDeletedOrg } from '../../people/organisations.ts';
import { requireWhole } from '../../people/whole-credential.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { deviceView, listView, registrationView } from '../views.ts';
import { reasonField } from './fields.ts';

/** Requests a minute from one address on routes that anyone can call: a rack of devices behind one address. */
const ANYONE_PER_MINUTE = 120;

const base64url = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[A-Za-z0-9_-]+$/);
const fact = z.string().min(1).max(255);
const requestBody = z.strictObject({
  device_id: idSchema,
  public_key: base64url(64),
  name: z.string().min(1).max(255),
  owner: z.string().max(320).optional(),
  facts: z.strictObject({ hostname: fact, platform: fact, arch: fact, version: fact }),
  signature: base64url(128),
});
const claimBody = z.strictObject({ device_id: idSchema, signature: base64url(128) });
const byId = z.object({ id: idSchema });

/** Routes of enrolment: asking, deciding, claiming. */
export function registrationRoutes(app: HttpServer, parts: EnrolmentParts & { readonly registry: DeviceRegistry }): void {
  const rateLimit = { max: ANYONE_PER_MINUTE, timeWindow: 60_000 };
  const byKeyOrNothing = { access: 'enrolment' as const, rateLimit };
  // The signature is the only credential of a claim: the enrolment key that the device came with may be spent by now.
  const bySignature = { access: 'anyone' as const, rateLimit };
  const takeRequest = createEnrolmentIntake(parts);

  app.post('/v1/registrations', { config: byKeyOrNothing, schema: { body: requestBody } }, async (request, reply) => {
    const { body } = request;
    const owner = body.owner === undefined ? null : parseScope(body.owner);
    if (owner !== null) await refuseDeletedOrg(parts.store, owner);
    const registration = await takeRequest(
      {
        deviceId: body.device_id as DeviceId,
        publicKey: body.public_key,
        name: body.name,
        owner: body.owner,
        facts: body.facts,
        signature: body.signature,
      },
      { address: request.ip, principal: request.principal },
    );
    return reply.status(201).send(registrationView(registration, parts.relayId));
  });

  app.post('/v1/registrations/:id/claim', { config: bySignature, schema: { params: byId, body: claimBody } }, async (request) => {
    const { device_id, signature } = request.body;
    const outcome = await claimCredential(parts, {
      registration: request.params.id as RegistrationId,
      deviceId: device_id as DeviceId,
      signature,
      address: request.ip,
    });
    if (outcome.state === 'pending') return { state: 'pending', poll_ms: CLAIM_POLL_MS };
    const { id, name } = outcome.device;
    return { state: 'approved', api_key: outcome.apiKey, device: { id, name }, relay: parts.relayId, grant_keys: parts.grantKeys() };
  });

  app.get('/v1/registrations', { schema: { querystring: z.object(pageQuery) } }, async (request) => {
    const now = parts.clock.now();
    const page = await parts.store.registrations.listPending({ now }, pageOf(request.query), callerOf(principalOf(request)));
    return listView(page, (registration) => registrationView(registration, parts.relayId));
  });

  app.post('/v1/registrations/:id/approve', { schema: { params: byId } }, async (request) => {
    const principal = principalOf(request);
    const registration = await findRegistration(parts, request.params.id, principal);
    const decider = deciderOf(principal, request.ip);
    const { deviceId } = await approveRegistration(parts, registration, decider);
    const device = await parts.store.devices.get(deviceId, SYSTEM_SCOPE);
    if (device === null) throw new TowlineError('not_found');
    // Whoever decided is admin of its owner.
    return deviceView(device, parts.registry.get(deviceId), roleOnDevice(principal, device, parts.clock.now()) ?? 'admin');
  });

  app.post(
    '/v1/registrations/:id/reject',
    { schema: { params: byId, body: z.strictObject({ reason: reasonField.optional() }).nullish() } },
    async (request) => {
      const principal = principalOf(request);
      const registration = await findRegistration(parts, request.params.id, principal);
      const decider = {
        ...deciderOf(principal, request.ip),
        ...(request.body?.reason === undefined ? {} : { reason: request.body.reason }),
      };
      return registrationView(await rejectRegistration(parts, registration, decider), parts.relayId);
    },
  );
}

function deciderOf(principal: Principal, address: string): Decider {
  return { actor: actorOf(principal), address, caller: callerOf(principal) };
}

/** A request that the principal may decide: admin on the owner, or a person on their own. */
async function findRegistration(parts: EnrolmentParts, id: string, principal: Principal): Promise<Registration> {
  const registration = await parts.store.registrations.get(id as RegistrationId, callerOf(principal));
  if (registration === null) throw new TowlineError('not_found', 'No such request to enrol, or it is not yours to decide.');
  requireOnScope(principal, registration.owner, 'registration.decide');
  requireWhole(principal);
  return registration;
}
