import type { PathCommand } from '@towline/contract';
import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { createDeviceLink } from './device-link.ts';
import { cliHost, streamOption } from './stream-verb.ts';

/** Defines a command of a stream plugin whose words name the device themselves. */
export function pathCommand(program: Program, { word, summary, usage, options: declared, run }: PathCommand): Command {
  const command = new Command(word).description(summary).usage(`[options] ${usage}`).argument('[words...]');
  for (const option of declared) command.addOption(streamOption(option));
  return program.bind(command, async (context, { args, options }) => {
    await using link = createDeviceLink(context);
    return run({ args, options }, (device) => cliHost(context, link, device));
  });
}
