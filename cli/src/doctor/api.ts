import { createClient } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { type Finding, ok } from './finding.ts';
import type { Subject } from './subject.ts';

/** Asks the relay what it tells anybody. No credential is sent. @throws TowlineError `relay_not_towline`, and what the relay reports. */
export async function checkApi({ context, target }: Subject, signal: AbortSignal): Promise<Finding> {
  using api = createClient(context, await target());
  checkAnswer(await api.request('GET', '/v1/login-methods', { signal }), { items: 'any' });
  return ok('A Towline relay answers.');
}
