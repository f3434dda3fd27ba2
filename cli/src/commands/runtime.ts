import { createRuntimeCommand } from '@towline/agent';
import type { Command } from 'commander';
import type { Program } from '../invocation/program.ts';

/** `towline runtime …`: the device runtime, as `towline-agent` has it. */
export function runtimeCommand({ host }: Program): Command {
  // Whoever reads the output may go; the device stays online.
  host.stdout.on('error', () => {});
  return createRuntimeCommand({
    env: { ...host.env },
    stdout: (text) => void host.stdout.write(text),
    stderr: (text) => void host.stderr.write(text),
  });
}
