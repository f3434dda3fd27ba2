import { z } from 'zod';
import { createSecretKeeping, type KeepingParts } from '../../secrets/keep-secrets.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { listView, secretView } from '../views.ts';
import { optionalScopeOf, scopeField, scopeOf } from './fields.ts';

const byName = z.object({ scope: scopeField, name: z.string().min(1).max(255) });

/** Routes of secrets. Values go in and never out. */
export function secretRoutes(app: HttpServer, parts: KeepingParts): void {
  const keeping = createSecretKeeping(parts);

  app.get('/v1/secrets', { schema: { querystring: z.object({ ...pageQuery, scope: scopeField.optional() }) } }, async (request) => {
    const scope = optionalScopeOf(request.query.scope, 'scope');
    const page = await keeping.list(principalOf(request), scope === null ? {} : { scope }, pageOf(request.query));
    return listView(page, secretView);
  });

  app.put('/v1/secrets/:scope/:name', { schema: { params: byName, body: z.strictObject({ value: z.string() }) } }, async (request) => {
    const asker = { principal: principalOf(request), address: request.ip };
    const place = { scope: scopeOf(request.params.scope, 'scope'), name: request.params.name };
    return secretView(await keeping.set(asker, place, request.body.value));
  });

  app.delete('/v1/secrets/:scope/:name', { schema: { params: byName } }, async (request, reply) => {
    const asker = { principal: principalOf(request), address: request.ip };
    await keeping.remove(asker, { scope: scopeOf(request.params.scope, 'scope'), name: request.params.name });
    return reply.status(204).send();
  });
}
