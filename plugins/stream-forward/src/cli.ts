import type { CliHost, StreamCommand } from '@towline/contract';
import type { TcpTarget } from './client/join-standard-streams.ts';

const UDP_IDLE = { flags: '--udp-idle <seconds>', description: 'end a flow of datagrams after so long without one (60)' };

/** CLI half: `towline DEVICE forward`. What it needs is loaded when it runs. */
export const forward: StreamCommand = {
  verb: 'forward',
  summary: 'Have local ports lead to ports of the device, or of hosts behind it',
  usage: '[BIND:]LOCAL[:HOST]:PORT[/udp]...',
  options: [UDP_IDLE],
  run: async (invocation, host) => (await import('./client/run-forward.ts')).runForward(invocation, host),
};

/** CLI half: `towline DEVICE socks`. */
export const socks: StreamCommand = {
  verb: 'socks',
  summary: 'Be a SOCKS5 proxy on this machine that goes out from the device',
  usage: '[PORT]',
  options: [UDP_IDLE],
  run: async (invocation, host) => (await import('./client/run-socks.ts')).runSocks(invocation, host),
};

/**
 * Joins stdin and stdout to one TCP connection of the device of the host, until that is over: what `ssh` needs of a ProxyCommand.
 * @throws TowlineError when it is refused or breaks.
 */
export async function joinStandardStreams(target: TcpTarget, host: CliHost): Promise<void> {
  await (await import('./client/join-standard-streams.ts')).joinStandardStreams(target, host);
}
