import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { textOf } from '../people/words.ts';

/** `towline ssh …` */
export function sshCommand(program: Program): Command {
  return new Command('ssh')
    .description('have OpenSSH reach devices as DEVICE.towline')
    .addCommand(enableCommand(program))
    .addCommand(disableCommand(program))
    .addCommand(proxyCommand(program));
}

function enableCommand(program: Program): Command {
  const command = withFile(new Command('enable').description('tell OpenSSH that DEVICE.towline is reached through the relay'));
  return program.bind(command, async (context, { options }) => {
    await (await import('../ssh/enable-ssh.ts')).enableSsh(context, textOf(options.file));
    return undefined;
  });
}

function disableCommand(program: Program): Command {
  const command = withFile(new Command('disable').description('take out again what `enable` has written, and nothing else'));
  return program.bind(command, async (context, { options }) => {
    await (await import('../ssh/disable-ssh.ts')).disableSsh(context, textOf(options.file));
    return undefined;
  });
}

function proxyCommand(program: Program): Command {
  const command = new Command('proxy')
    .description('join stdin and stdout to a TCP port of a device: the ProxyCommand of OpenSSH')
    .argument('<host>', 'the device; .towline behind it is left out')
    .argument('<port>', 'the port there')
    .option('--to <host>', 'connect to this host from the device, instead of to the device itself');
  return program.bind(command, async (context, { args: [host = '', port = ''], options }) =>
    (await import('../ssh/run-proxy.ts')).runProxy(context, { host, port, to: textOf(options.to) }),
  );
}

function withFile(command: Command): Command {
  return command.option('--file <file>', 'the config file of OpenSSH, instead of ~/.ssh/config');
}
