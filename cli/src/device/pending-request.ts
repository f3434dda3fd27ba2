import type { RegistrationView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';
import { readList } from '../relay/pages.ts';
import { REGISTRATION } from '../relay/views.ts';

/** Fewest digits by which a request may be named. */
const SHORTEST_PREFIX = 8;

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

/** How a pending request may be named. */
export interface PendingName {
  readonly text: string;
  /**
   * Whether the id of its device counts too. Not where something is granted: a device chooses its id, so that it
   * could be that of another request which has just expired.
   */
  readonly orByDevice: boolean;
}

/**
 * The pending request that is named by its id or an unambiguous beginning of it. Never by name, which the device
 * chose. Null when there is none. @throws TowlineError `ambiguous`.
 */
export async function findPending(api: ApiClient, name: PendingName, signal: AbortSignal): Promise<RegistrationView | null> {
  const { text } = name;
  if (!/^[0-9a-f]{1,32}$/.test(text) || text.length < SHORTEST_PREFIX) return null;
  const { items } = await readList<RegistrationView>(api, { path: '/v1/registrations', shape: REGISTRATION, signal });
  const byRequest = items.filter((request) => request.id.startsWith(text));
  const matches = byRequest.length > 0 || !name.orByDevice ? byRequest : items.filter((request) => request.device_id === text);
  if (matches.length > 1) {
    const listed = matches.slice(0, 10).map((request) => `${shown(request.id)} (${shown(request.name, 64)})`);
    throw new TowlineError('ambiguous', `“${shown(text)}” fits more than one request: ${listed.join(', ')}.`);
  }
  return matches[0] ?? null;
}
