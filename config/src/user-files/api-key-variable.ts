import { configInvalid } from '../faults/fault.ts';
import type { Environment } from '../reading/substitution.ts';
import { readVariable, type VariableNames } from '../reading/variable.ts';

const API_KEY: VariableNames = Object.freeze({ name: 'TOWLINE_API_KEY', aliases: ['M87_API_KEY'], secret: true });

/**
 * The API key of the environment: TOWLINE_API_KEY, else M87_API_KEY, or the file that TOWLINE_API_KEY_FILE or
 * M87_API_KEY_FILE names. Undefined when none is set. It wins over credentials.json.
 * @throws TowlineError `config_invalid` when it is empty, given twice, or its file cannot be read.
 */
export function apiKeyOfEnvironment(env: Environment): string | undefined {
  const read = readVariable(env, API_KEY);
  if (read === undefined) return undefined;
  if ('fault' in read) throw configInvalid([read.fault]);
  return read.value;
}
