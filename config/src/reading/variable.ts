import { readFileSync, statSync } from 'node:fs';
import type { Fault } from '../faults/fault.ts';
import type { Environment } from './substitution.ts';

/** A variable of the environment under its name and the names it is also read by. */
export interface VariableNames {
  readonly name: string;
  /** Asked in this order when `name` is not set. */
  readonly aliases?: readonly string[];
  /** Also read from the file that NAME_FILE names, and never shown. */
  readonly secret?: boolean;
}

/** A variable that is set: its value and under which name. Or what is wrong with it. Undefined: not set. */
export type VariableValue = { readonly value: string; readonly name: string } | { readonly fault: Fault } | undefined;

/** Largest file of a secret, bytes. Ours have some dozen characters; more is the wrong file. */
const MAX_SECRET_FILE = 65_536;

/** Reads a variable. The first name that is set wins, be it directly or by NAME_FILE; an empty value is a fault. */
export function readVariable(env: Environment, names: VariableNames): VariableValue {
  for (const name of [names.name, ...(names.aliases ?? [])]) {
    const direct = env[name];
    const file = names.secret ? env[`${name}_FILE`] : undefined;
    if (direct !== undefined && file !== undefined) return faultOf(`${name}_FILE`, `either ${name} or ${name}_FILE`, 'both set');
    if (file !== undefined) return readSecretFile(`${name}_FILE`, file);
    if (direct === '') return faultOf(name, 'a value; unset the variable to leave it out', 'an empty text');
    if (direct !== undefined) return { value: direct, name };
  }
  return undefined;
}

/** The content of the file without one newline at its end. */
function readSecretFile(name: string, file: string): VariableValue {
  const expected = 'the path of a readable file with the secret';
  if (file === '') return faultOf(name, expected, 'an empty text');
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return faultOf(name, expected, `${file}, which is no regular file`);
    if (stat.size > MAX_SECRET_FILE) return faultOf(name, expected, `${file} of ${stat.size} bytes`);
    const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return value === '' ? faultOf(name, expected, `${file}, which is empty`) : { value, name };
  } catch (error) {
    return faultOf(name, expected, `${file}, which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

function faultOf(key: string, expected: string, found: string): VariableValue {
  return { fault: { file: 'environment', key, expected, found } };
}
