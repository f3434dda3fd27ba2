import { TowlineError } from '@towline/contract';
import { defined } from '@towline/protocol';
import { z } from 'zod';
import { requirePlatformAdmin } from '../../access/roles.ts';
import { type ChangeParts, doerOf } from '../../people/change.ts';
import { disableUser, enableUser, findUser } from '../../people/users.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { listView, userView } from '../views.ts';
import { emailOf, reasonField } from './fields.ts';

/** `issuer|subject`, percent-encoded in the path. */
const byId = z.object({ id: z.string().min(1).max(512) });
const listQuery = z.object({ ...pageQuery, email: z.string().max(320).optional(), disabled: z.enum(['true', 'false']).optional() });
const change = z.strictObject({ disabled: z.boolean(), reason: reasonField.optional() });

/** Routes of users, for platform admins. */
export function userRoutes(app: HttpServer, parts: ChangeParts): void {
  app.get('/v1/users', { schema: { querystring: listQuery } }, async (request) => {
    requirePlatformAdmin(principalOf(request));
    const { email, disabled } = request.query;
    const filter = {
      ...(email === undefined ? {} : { email: emailOf(email, 'email') }),
      ...(disabled === undefined ? {} : { disabled: disabled === 'true' }),
    };
    return listView(await parts.store.users.list(filter, pageOf(request.query)), userView);
  });

  app.get('/v1/users/:id', { schema: { params: byId } }, async (request) => {
    requirePlatformAdmin(principalOf(request));
    return userView(await findUser(parts, request.params.id));
  });

  app.patch('/v1/users/:id', { schema: { params: byId, body: change } }, async (request) => {
    const principal = principalOf(request);
    requirePlatformAdmin(principal);
    const { id } = request.params;
    const { disabled, reason } = request.body;
    const doer = doerOf({ principal, address: request.ip });
    if (!disabled) return userView(await enableUser(parts, id, doer));
    if (id === principal.id)
      throw new TowlineError('forbidden', 'You cannot disable yourself.', {
        hint: 'Another platform admin can, or the operator of the relay.',
      });
    const user = await disableUser(parts, id, { ...doer, ...defined({ reason }) });
    await parts.enforce();
    return userView(user);
  });
}
