import type { LoginMethod } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { shown } from '../output/terminal-text.ts';
import { askLine } from './ask-secret.ts';
import { optionOf } from './login-methods.ts';

/** Wrong answers that are taken before the question is given up. */
const TRIES = 3;

/** The one method there is, or the one that the person picks. @throws TowlineError `usage` where nobody can be asked. */
export async function chooseMethod(host: Host, methods: readonly LoginMethod[]): Promise<LoginMethod> {
  const [only, ...others] = methods;
  if (only === undefined)
    throw new TowlineError('usage', 'The relay offers no way to log in that this version knows.', { hint: 'Use a newer one.' });
  if (others.length === 0) return only;
  if (host.stdin.isTTY !== true) {
    throw new TowlineError('usage', 'The relay offers several ways to log in, and there is no terminal to ask on.', {
      hint: `Give one of ${methods.map(optionOf).join(', ')}.`,
    });
  }
  host.stderr.write(`${methods.map((method, at) => `  ${at + 1}  ${describe(method)}`).join('\n')}\n`);
  for (let left = TRIES; left > 0; left -= 1) {
    const typed = (await askLine(host, `Log in by (1 to ${methods.length}): `)).trim();
    const chosen = /^\d{1,3}$/.test(typed) ? methods[Number(typed) - 1] : undefined;
    if (chosen !== undefined) return chosen;
  }
  throw new TowlineError('usage', 'None of the ways to log in was chosen.', { hint: `Give one of ${methods.map(optionOf).join(', ')}.` });
}

function describe(method: LoginMethod): string {
  const label = shown(method.label, 80);
  return method.method === 'device_flow' ? `${label} (${shown(method.issuer, 200)})` : label;
}
