import { type KeyRequest, ROLES, type Role, type ScopeRoleView } from '@towline/contract';
import { parseScope, TowlineError } from '@towline/protocol';
import { deviceOfWord } from '../device/device-word.ts';
import type { Typed } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { readMomentAhead } from './moment-ahead.ts';
import { readScope, scopeOption, textOf, USUAL_ROLE, valuesOf } from './words.ts';

/** An id, or the beginning of a key that holds it, or a whole key. */
const KEY_WORD = /^(?:twl_[ude]_)?([0-9a-f]{16})(?:_[0-9a-f]*)?$/;
/** Most devices one enrolment key may be asked for. */
const MOST_DEVICES = 9_999_999;
const ROLE_NAMES: ReadonlySet<string> = new Set(ROLES);

/** The id in a word that names a key. A secret that came along goes nowhere, not even into the error. @throws TowlineError `usage`. */
export function readKeyId(word: string): string {
  const id = KEY_WORD.exec(word)?.[1];
  if (id !== undefined) return id;
  throw new TowlineError('usage', 'This is no id of a key.', {
    hint: 'It has 16 hexadecimal digits, as in twl_u_<id>; `towline keys list` shows them.',
  });
}

/** Body of POST /v1/keys by the options of `keys create`. @throws TowlineError `usage`. */
export function readKeyRequest(options: Typed['options'], now: number): KeyRequest {
  const name = textOf(options.name);
  const expires = textOf(options.expires);
  const common = {
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expires_at: readMomentAhead(expires, '--expires', now) }),
  };
  return options.enrol === undefined ? { ...common, ...limitsOf(options) } : { ...common, ...enrolmentOf(options) };
}

function limitsOf(options: Typed['options']): KeyRequest {
  if (options.count !== undefined)
    throw new TowlineError('usage', '--count belongs to --enrol.', { hint: 'Leave it out, or give --enrol SCOPE.' });
  const scopes = valuesOf(options.scope)?.map(readScopeRole);
  const streams = valuesOf(options.stream);
  const devices = valuesOf(options.device)?.map(deviceOfWord);
  return {
    ...(scopes === undefined ? {} : { scopes }),
    ...(streams === undefined ? {} : { streams }),
    ...(devices === undefined ? {} : { devices }),
  };
}

function enrolmentOf(options: Typed['options']): KeyRequest {
  const stray = ['scope', 'stream', 'device'].find((option) => options[option] !== undefined);
  if (stray !== undefined) {
    throw new TowlineError('usage', `--${stray} limits the key of a person, and --enrol makes one that enrols devices.`, {
      hint: 'Choose one of the two.',
    });
  }
  const owner = scopeOption(options.enrol)!;
  const count = textOf(options.count);
  return { kind: 'enrolment', owner, ...(count === undefined ? {} : { count: readCount(count) }) };
}

/** `SCOPE` or `SCOPE=ROLE`. An e-mail address may have `=` in it, so what follows the last one counts only when it is a role. */
function readScopeRole(text: string): ScopeRoleView {
  const at = text.lastIndexOf('=');
  const role = text.slice(at + 1);
  if (at >= 0 && ROLE_NAMES.has(role)) return { scope: readScope(text.slice(0, at)), role };
  if (at >= 0 && parseScope(text) === null && parseScope(text.slice(0, at)) !== null) throw noRole(role);
  return { scope: readScope(text), role: USUAL_ROLE satisfies Role };
}

function noRole(text: string): TowlineError {
  return new TowlineError('usage', `“${shown(text, 40)}” is no role.`, { hint: `The roles are ${ROLES.join(', ')}.` });
}

function readCount(text: string): number {
  const count = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST_DEVICES) return count;
  throw new TowlineError('usage', `--count “${shown(text, 40)}” is not a number from 1 to ${MOST_DEVICES}.`, {
    hint: 'Leave it out for a key without such a limit.',
  });
}
