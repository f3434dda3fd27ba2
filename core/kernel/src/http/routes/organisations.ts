import { parseOrgId } from '@towline/protocol';
import { z } from 'zod';
import { callerOf } from '../../access/roles.ts';
import { type DeletingParts, deleteOrganisation } from '../../people/delete-organisation.ts';
import { removeMember, setMember } from '../../people/members.ts';
import { createOrganisation, findOrganisation } from '../../people/organisations.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { listView, memberView, orgView } from '../views.ts';
import { emailOf, lineOf, newOrgIdOf, optionalScopeOf, roleField, scopeField } from './fields.ts';

const byId = z.object({ id: z.string().min(1).max(63) });
const byMember = z.object({ ...byId.shape, email: z.string().min(1).max(320) });
const creation = z.strictObject({ id: z.string().max(255), name: lineOf(100).optional(), adopt: z.boolean().optional() });

/** Routes of organisations and their members. */
export function organisationRoutes(app: HttpServer, parts: DeletingParts): void {
  app.get('/v1/orgs', { schema: { querystring: z.object(pageQuery) } }, async (request) => {
    const principal = principalOf(request);
    const page = await parts.store.organisations.list(pageOf(request.query), callerOf(principal));
    return listView(page, (organisation) => orgView(organisation, principal));
  });

  app.post('/v1/orgs', { schema: { body: creation } }, async (request, reply) => {
    const principal = principalOf(request);
    const { name, adopt = false } = request.body;
    const id = newOrgIdOf(request.body.id);
    const made = await createOrganisation(parts, { principal, address: request.ip }, { id, name: name ?? id, adopt });
    return reply.status(201).send(orgView(made, principal));
  });

  app.get('/v1/orgs/:id', { schema: { params: byId } }, async (request) => {
    const principal = principalOf(request);
    return orgView(await findOrganisation(parts, principal, { id: parseOrgId(request.params.id), right: 'org.see' }), principal);
  });

  app.delete(
    '/v1/orgs/:id',
    { schema: { params: byId, querystring: z.object({ devices_to: scopeField.optional() }) } },
    async (request, reply) => {
      const devicesTo = optionalScopeOf(request.query.devices_to, 'devices_to');
      const asker = { principal: principalOf(request), address: request.ip };
      await deleteOrganisation(parts, asker, { org: parseOrgId(request.params.id), devicesTo });
      return reply.status(204).send();
    },
  );

  memberRoutes(app, parts);
}

function memberRoutes(app: HttpServer, parts: DeletingParts): void {
  app.get('/v1/orgs/:id/members', { schema: { params: byId, querystring: z.object(pageQuery) } }, async (request) => {
    const principal = principalOf(request);
    const { id } = await findOrganisation(parts, principal, { id: parseOrgId(request.params.id), right: 'org.see' });
    return listView(await parts.store.organisations.listMembers(id, pageOf(request.query), callerOf(principal)), memberView);
  });

  app.put('/v1/orgs/:id/members/:email', { schema: { params: byMember, body: z.strictObject({ role: roleField }) } }, async (request) => {
    const { id, email } = request.params;
    const asker = { principal: principalOf(request), address: request.ip };
    const wanted = { org: parseOrgId(id), email: emailOf(email, 'email'), role: request.body.role };
    return memberView(await setMember(parts, asker, wanted));
  });

  app.delete('/v1/orgs/:id/members/:email', { schema: { params: byMember } }, async (request, reply) => {
    const { id, email } = request.params;
    const asker = { principal: principalOf(request), address: request.ip };
    await removeMember(parts, asker, { org: parseOrgId(id), email: emailOf(email, 'email') });
    return reply.status(204).send();
  });
}
