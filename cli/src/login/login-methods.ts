import type { LoginMethod } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';
import { checkAnswer, nullable, type Shape } from '../relay/answer-shape.ts';

/** Methods of which more are not looked at. */
const MOST = 50;
const DEVICE_FLOW: Shape = { label: 'text', issuer: 'text', client_id: 'text', scopes: 'texts', audience: nullable('text') };
const API_KEY: LoginMethod = Object.freeze({ method: 'api_key', label: 'API key' });

/** A login at an identity provider. */
export type DeviceFlowMethod = Extract<LoginMethod, { method: 'device_flow' }>;

/**
 * What the relay offers, each way once. Ways that this version does not know are left out; a relay that names none at all
 * takes API keys.
 */
export async function readLoginMethods(api: ApiClient, signal: AbortSignal): Promise<readonly LoginMethod[]> {
  const answer = checkAnswer<{ readonly items: unknown }>(await api.request('GET', '/v1/login-methods', { signal }), { items: 'any' });
  const items: readonly unknown[] = Array.isArray(answer.items) ? answer.items.slice(0, MOST) : [];
  const known = items.flatMap(readMethod);
  const once = new Map(known.map((method) => [keyOf(method), method]));
  return items.length === 0 ? [API_KEY] : [...once.values()];
}

function readMethod(item: unknown): LoginMethod[] {
  const method = checkAnswer<LoginMethod>(item, { method: 'text', label: 'text' });
  if (method.method === 'device_flow') return [checkAnswer<DeviceFlowMethod>(item, DEVICE_FLOW)];
  return method.method === 'api_key' || method.method === 'basic' ? [method] : [];
}

function keyOf(method: LoginMethod): string {
  return method.method === 'device_flow' ? `${method.issuer} ${method.client_id} ${method.audience ?? ''}` : method.method;
}

/** The options that choose a method, as they are typed. */
export function optionOf(method: LoginMethod): string {
  if (method.method === 'device_flow') return `--provider "${shown(method.issuer, 200)}"`;
  return method.method === 'basic' ? '--basic' : '--api-key -';
}

/** The provider that --provider names, by label or issuer. @throws TowlineError `usage`, `ambiguous`. */
export function findProvider(methods: readonly LoginMethod[], wanted: string): DeviceFlowMethod {
  const offered = methods.filter((method) => method.method === 'device_flow');
  const exact = offered.filter(({ issuer }) => issuer === wanted);
  const found = exact.length > 0 ? exact : offered.filter(({ label }) => label.toLowerCase() === wanted.toLowerCase());
  if (found.length === 1) return found[0]!;
  const names = offered.map(({ label, issuer }) => `${shown(label, 80)} (${shown(issuer, 200)})`).join(', ');
  if (found.length > 1)
    throw new TowlineError('ambiguous', `--provider “${shown(wanted, 80)}” fits more than one: ${names}.`, { hint: 'Give its issuer.' });
  throw new TowlineError('usage', `The relay offers no provider “${shown(wanted, 80)}”.`, {
    hint: names === '' ? 'It offers none at all; leave the option out.' : `It offers ${names}.`,
  });
}
