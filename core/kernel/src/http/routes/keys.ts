import { defined } from '@towline/protocol';
import { z } from 'zod';
import { createTurns } from '../../enrolment/turns.ts';
import { createKeyFor, type KeySpec } from '../../keys/create.ts';
import { findVisibleKey, listVisibleKeys, revokeVisibleKey } from '../../keys/visible.ts';
import type { ChangeParts } from '../../people/change.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { keyView, listView } from '../views.ts';
import { lineOf, momentField, reasonField, roleField, scopeField, scopeOf, streamsField } from './fields.ts';

const yesOrNo = z.enum(['true', 'false']).default('false');
const byId = z.object({ id: z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hex digits') });
const creation = z.strictObject({
  kind: z.enum(['user', 'enrolment']).default('user'),
  name: lineOf(100).optional(),
  // An empty list would read as "none" and count as "all".
  scopes: z
    .array(z.strictObject({ scope: scopeField, role: roleField }))
    .min(1)
    .max(100)
    .optional(),
  streams: streamsField.optional(),
  devices: z.array(z.string().min(1).max(255)).min(1).max(100).optional(),
  expires_at: momentField.optional(),
  owner: scopeField.optional(),
  count: z.int().min(1).max(9_999_999).optional(),
});

/** Routes of API keys; those of devices are not among them. */
export function keyRoutes(app: HttpServer, parts: ChangeParts): void {
  const { store, clock } = parts;
  // Keys asked for at the same moment must not all find room below the bound.
  const inTurn = createTurns();

  app.get('/v1/keys', { schema: { querystring: z.object({ ...pageQuery, all: yesOrNo, revoked: yesOrNo }) } }, async (request) => {
    const filter = { all: request.query.all === 'true', includeRevoked: request.query.revoked === 'true' };
    const page = await listVisibleKeys(store, principalOf(request), { filter, page: pageOf(request.query) });
    return listView(page, (key) => keyView(key, clock.now()));
  });

  app.post('/v1/keys', { schema: { body: creation } }, async (request, reply) => {
    const asker = { principal: principalOf(request), address: request.ip };
    return reply.status(201).send(await inTurn(() => createKeyFor(parts, asker, specOf(request.body))));
  });

  app.get('/v1/keys/:id', { schema: { params: byId } }, async (request) => {
    return keyView(await findVisibleKey(store, principalOf(request), request.params.id), clock.now());
  });

  app.delete(
    '/v1/keys/:id',
    { schema: { params: byId, querystring: z.object({ reason: reasonField.optional() }) } },
    async (request, reply) => {
      const asker = { principal: principalOf(request), address: request.ip };
      await revokeVisibleKey(parts, asker, { id: request.params.id, reason: request.query.reason });
      return reply.status(204).send();
    },
  );
}

function specOf({ kind, name, streams, devices, count, ...body }: z.infer<typeof creation>): KeySpec {
  return {
    kind,
    ...defined({ name, streams, devices, count }),
    ...(body.scopes === undefined ? {} : { scopes: body.scopes.map(({ scope, role }) => ({ scope: scopeOf(scope, 'scopes'), role })) }),
    ...(body.expires_at === undefined ? {} : { expiresAt: Date.parse(body.expires_at) }),
    ...(body.owner === undefined ? {} : { owner: scopeOf(body.owner, 'owner') }),
  };
}
