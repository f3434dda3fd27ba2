import type { StreamCommand } from '@towline/contract';

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
