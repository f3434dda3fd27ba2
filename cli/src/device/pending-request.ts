import type { RegistrationView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { isId, TowlineError } from '@towline/protocol';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';
import { readList } from '../relay/pages.ts';
import { REGISTRATION } from '../relay/views.ts';

/** Fewest digits by which a request may be named. */
const SHORTEST_PREFIX = 4;

/** Columns of `devices list --pending`. The request's id and the fingerprint are whole: they are copied and compared. */
export function pendingColumns(now: number): readonly Column<RegistrationView>[] {
  return [
    { heading: 'REQUEST', text: (request) => shown(request.id) },
    { heading: 'NAME', text: (request) => shown(request.name, 64) },
    { heading: 'OWNER', text: (request) => shown(request.owner, 80) },
    { heading: 'HOST', text: (request) => shown(request.facts.hostname, 64) },
    { heading: 'PLATFORM', text: (request) => shown(`${request.facts.platform}/${request.facts.arch}`, 40) },
    { heading: 'ADDRESS', text: (request) => shown(request.address, 64) },
    { heading: 'EXPIRES', text: (request) => relativeText(request.expires_at, now) },
    { heading: 'FINGERPRINT', text: (request) => shown(request.fingerprint) },
  ];
}

/**
 * The pending request that a text names: by its id, by the id of its device, or by an unambiguous beginning of
 * the request's id. Never by name, which the device chose. Null when there is none.
 * @throws TowlineError `ambiguous`.
 */
export async function findPending(api: ApiClient, text: string, signal: AbortSignal): Promise<RegistrationView | null> {
  if (!/^[0-9a-f]{4,32}$/.test(text) || text.length < SHORTEST_PREFIX) return null;
  const { items } = await readList<RegistrationView>(api, { path: '/v1/registrations', shape: REGISTRATION, signal });
  const matches = isId(text)
    ? items.filter((request) => request.id === text || request.device_id === text)
    : items.filter((request) => request.id.startsWith(text));
  if (matches.length > 1) {
    const listed = matches.slice(0, 10).map((request) => `${shown(request.id)} (${shown(request.name, 64)})`);
    throw new TowlineError('ambiguous', `“${shown(text)}” fits more than one request: ${listed.join(', ')}.`);
  }
  return matches[0] ?? null;
}
