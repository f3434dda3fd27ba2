import type { Host } from './host.ts';
import type { GlobalOptions } from './invocation/global-options.ts';
import { createOutput, type Output } from './output/output.ts';

/** What the action of a command is given. */
export interface Context {
  readonly host: Host;
  readonly globals: GlobalOptions;
  readonly output: Output;
}

/** The context of one command. */
export function createContext(host: Host, globals: GlobalOptions): Context {
  return { host, globals, output: createOutput(host, globals) };
}
