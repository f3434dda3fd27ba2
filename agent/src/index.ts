import type { RuntimeIo } from './runtime.ts';
import type { RunOptions } from './settings.ts';

export type { RuntimeEvent } from './events.ts';
export type { RuntimeIo } from './runtime.ts';
export { type CommandIo, createRuntimeCommand } from './runtime-command.ts';
export type { RunOptions } from './settings.ts';

/**
 * Enrols the device where needed, keeps it online and serves it, until the signal of `io` aborts. What it needs is
 * loaded when it is called, for programs that have it among other commands.
 * @throws TowlineError what no waiting heals.
 */
export async function runRuntime(options: RunOptions, io: RuntimeIo): Promise<void> {
  const runtime = await import('./runtime.ts');
  await runtime.runRuntime(options, io);
}
