import { nearestName } from '@towline/config/relay';
import { type ErrorCode, TowlineError } from '@towline/contract';
import { maskSecrets } from '../redaction.ts';
import type { ConfigPlace } from './plugin-entry.ts';

/** All that is wrong with the plugins. Has the code, message and hint of its only fault, or lists several. */
export class PluginFaults extends TowlineError {
  readonly faults: readonly TowlineError[];

  constructor(faults: readonly [TowlineError, ...TowlineError[]]) {
    const [first, ...others] = faults;
    const message = others.length === 0 ? first.message : `${faults.length} faults of plugins:\n${faults.map(describeFault).join('\n')}`;
    const hint = others.length === 0 ? { hint: first.hint } : { hint: 'Correct the faults listed.' };
    super(first.code, message, { ...hint, cause: first });
    this.faults = faults;
  }
}

/** What a fault is about and what led to it. */
export interface FaultExtras {
  readonly at?: ConfigPlace | undefined;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Makes a fault whose message begins with the place in the config, where that is known. */
export function pluginFault(code: ErrorCode, message: string, { at, ...extras }: FaultExtras = {}): TowlineError {
  const place = at === undefined ? '' : `${at.file}:${at.line === undefined ? '' : `${at.line}:`} `;
  return new TowlineError(code, `${place}${message}`, extras);
}

/** What an error of a plugin says, fit for a message. */
export function reasonOf(error: unknown): string {
  const text = maskSecrets(error instanceof Error ? error.message : String(error)).trim();
  return text === '' ? 'it threw an error without a message.' : /[.!?]$/.test(text) ? text : `${text}.`;
}

/** ` Did you mean "x"?` for a message, or nothing. */
export function suggestName(given: string, known: readonly string[]): string {
  const nearest = nearestName(given, known);
  return nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
}

/** Throws all faults at once, if there are any. */
export function throwFaults(faults: readonly TowlineError[]): void {
  const [first, ...others] = faults;
  if (first !== undefined) throw new PluginFaults([first, ...others]);
}

function describeFault(fault: TowlineError): string {
  return `- ${fault.message} ${fault.hint}`;
}
