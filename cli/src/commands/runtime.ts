import { createRuntimeCommand } from '@towline/agent';
import type { Command } from 'commander';
import type { Program } from '../invocation/program.ts';

/** `towline runtime …`: the device runtime, as `towline-agent` has it. */
export function runtimeCommand({ host }: Program): Command {
  // Whoever reads the output may go; the device stays online.
  host.stdout.on('error', () => {});
  const runtime = createRuntimeCommand({
    env: { ...host.env },
    stdout: (text) => void host.stdout.write(text),
    stderr: (text) => void host.stderr.write(text),
  });
  return runtime.hook('preAction', (_runtime, action) => handTransportDown(action));
}

/** `--transport` is an option of the program and of `run`: typed before `run` it is meant for that. */
function handTransportDown(action: Command): void {
  if (action.getOptionValueSource('transport') === 'cli') return;
  for (let above = action.parent; above !== null; above = above.parent) {
    if (above.getOptionValueSource('transport') !== 'cli') continue;
    action.setOptionValueWithSource('transport', above.getOptionValue('transport'), 'cli');
    return;
  }
}
