import type { CliHost, CliInvocation, CliOption, StreamCommand } from '@towline/contract';
import { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import { createDeviceLink, type DeviceLink } from './device-link.ts';

/** Defines `towline DEVICE VERB` from the CLI half of a stream plugin. Words after the first one, or after `--`, are not touched. */
export function streamVerbCommand(program: Program, stream: StreamCommand, device: string): Command {
  const command = new Command(stream.verb)
    .description(stream.summary)
    .usage(`[options] ${stream.usage}`.trim())
    .argument('[words...]')
    .passThroughOptions();
  for (const option of stream.options) command.addOption(streamOption(option));
  return program.bind(command, async (context, { args, options }) => {
    await using link = createDeviceLink(context);
    const invocation: CliInvocation = { device, args, options };
    return stream.run(invocation, cliHost(context, link, device));
  });
}

/** An option of a stream plugin in commander's terms. */
export function streamOption({ flags, description, repeatable }: CliOption): Option {
  const option = new Option(flags, description);
  return repeatable ? option.argParser(collect) : option;
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** What a stream plugin is given for one device. */
export function cliHost(context: Context, link: DeviceLink, device: string): CliHost {
  const { host, output } = context;
  return {
    openSession: (protocol, body) => link.open({ device, protocol, body, signal: host.signal }),
    keepLink: async (onState) => (await import('./kept-link.ts')).openKeptLink(context, device, onState),
    stdin: host.stdin,
    stdout: host.stdout,
    stderr: host.stderr,
    env: host.env,
    json: output.json,
    signal: host.signal,
  };
}
