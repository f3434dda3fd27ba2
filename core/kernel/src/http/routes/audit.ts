import { type AuditFilter, type Clock, type Device, type Principal, type Store, TowlineError } from '@towline/contract';
import { defined, idSchema, type SessionId } from '@towline/protocol';
import { z } from 'zod';
import { auditCallerOf } from '../../access/roles.ts';
import { findVisibleDevice } from '../../sharing/find-visible.ts';
import { pageOf, pageQuery } from '../page-query.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { auditView, listView } from '../views.ts';

const moment = z.iso.datetime({ offset: true }).optional();
const query = z.object({
  ...pageQuery,
  device: z.string().max(255).optional(),
  session: idSchema.optional(),
  user: z.string().max(320).optional(),
  action: z.string().max(64).optional(),
  since: moment,
  until: moment,
  order: z.enum(['ascending', 'descending']).default('descending'),
});

/** The trail, for admins of the scopes its records belong to. */
export function auditRoutes(app: HttpServer, parts: { readonly store: Store; readonly clock: Clock }): void {
  app.get('/v1/audit', { schema: { querystring: query } }, async (request) => {
    const principal = principalOf(request);
    const { device, session, user, action, since, until, order } = request.query;
    const found = await findNamed(parts, principal, device);
    const filter: AuditFilter = {
      ...(found === null ? {} : { deviceId: found.id }),
      ...(session === undefined ? {} : { session: session as SessionId }),
      ...defined({ actor: user, action }),
      ...(since === undefined ? {} : { since: Date.parse(since) }),
      ...(until === undefined ? {} : { until: Date.parse(until) }),
    };
    return listView(await parts.store.audit.list(filter, order, pageOf(request.query), auditCallerOf(principal)), auditView);
  });
}

/** The device whose records are asked for. Whose credential is limited to devices reads of those alone. @throws TowlineError `not_found`, `forbidden`. */
async function findNamed(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  principal: Principal,
  named: string | undefined,
): Promise<Pick<Device, 'id'> | null> {
  const { devices } = principal;
  const found =
    named === undefined
      ? null
      : await findVisibleDevice({ store, principal, now: clock.now() }, named, 'device.see').catch(asRemoved(named));
  if (devices === undefined || (found !== null && devices.includes(found.id))) return found;
  throw new TowlineError('forbidden', 'Your credential is limited to some devices; name one of them.', { hint: 'Ask with `--device D`.' });
}

/** The records of a device that was removed are found by its whole id. */
function asRemoved(named: string) {
  return (error: unknown) => {
    const checked = idSchema.safeParse(named);
    if (error instanceof TowlineError && error.code === 'not_found' && checked.success) return { id: checked.data as never };
    throw error;
  };
}
