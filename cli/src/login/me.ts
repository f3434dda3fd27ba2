import type { MeView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { checkAnswer, nullable, type Shape } from '../relay/answer-shape.ts';
import { ME, SCOPE_ROLE } from '../relay/views.ts';

/** Relays of an older version leave these out. */
const NEWER: Shape = { email_note: nullable('text'), streams: nullable('texts'), devices: nullable('texts') };

/** Who the relay takes the holder of the client's credential for. */
export async function readMe(api: ApiClient, signal: AbortSignal): Promise<MeView> {
  const me = checkAnswer<MeView>(await api.request('GET', '/v1/me', { signal }), { ...ME, ...NEWER });
  const scopes = Array.isArray(me.scopes) ? me.scopes : [];
  for (const scope of scopes) checkAnswer(scope, SCOPE_ROLE);
  return { ...me, scopes };
}
