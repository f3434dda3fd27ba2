import { createQuicDial } from './dial/quic-dial.ts';

export { probeQuic, type QuicProbe } from './dial/probe-quic.ts';
export { createQuicDial, type QuicDialHost } from './dial/quic-dial.ts';

/** The dialling half for a program on a terminal: warnings go to stderr. */
export const quicDial = createQuicDial({
  environment: process.env,
  warn: (text) => void process.stderr.write(`${text}\n`),
});
