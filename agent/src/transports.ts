import type { DialTransport } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { createQuicDial, type QuicDialHost } from '@towline/transport-quic/dial';
import { createTlsDial, createWebSocketDial, type TlsDialHost } from '@towline/transport-tls/dial';

/** Names that `--transport` takes. */
export const TRANSPORT_CHOICES = Object.freeze(['auto', 'quic', 'tls', 'websocket'] as const);
/** How the relay is reached: by the best transport that works, or by this one alone. */
export type TransportChoice = (typeof TRANSPORT_CHOICES)[number];

/** Parts of the process that transports use. */
export type TransportHost = Pick<TlsDialHost & QuicDialHost, 'environment' | 'warn'>;

/** Best first. */
const RUNGS: readonly ((host: TransportHost) => DialTransport)[] = Object.freeze([createQuicDial, createTlsDial, createWebSocketDial]);

/** Reads the value of `--transport`. @throws TowlineError `usage`. */
export function readTransportChoice(text: string): TransportChoice {
  const choice = TRANSPORT_CHOICES.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new TowlineError('usage', `--transport does not know “${text.slice(0, 40)}”.`, {
    hint: `Use one of ${TRANSPORT_CHOICES.join(', ')}; auto takes the best that works.`,
  });
}

/** The transports of a choice, best first. */
export function createRungs(choice: TransportChoice, host: TransportHost): readonly DialTransport[] {
  return RUNGS.map((create) => create(host)).filter(({ name }) => choice === 'auto' || name === choice);
}
