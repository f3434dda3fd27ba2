import type { DialTransport } from '@towline/contract';
import { createLadder, createProcessMemory, type LadderLink, type LadderRequest } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import type { TlsDialHost } from '@towline/transport-tls/dial';
import { shown } from '../output/terminal-text.ts';

/** Parts of the process that diallers use. */
export type DialHost = Pick<TlsDialHost, 'environment' | 'warn'>;

/** Makes diallers, best first; each is loaded when it is to be used. */
const DIALLERS = Object.freeze({
  quic: async (host: DialHost): Promise<DialTransport> => (await import('@towline/transport-quic/dial')).createQuicDial(host),
  tls: async (host: DialHost): Promise<DialTransport> => (await import('@towline/transport-tls/dial')).createTlsDial(host),
  websocket: async (host: DialHost): Promise<DialTransport> => (await import('@towline/transport-tls/dial')).createWebSocketDial(host),
});

/** How the relay is reached: by this transport alone, or with `auto` by the best that works. */
export type TransportChoice = 'auto' | keyof typeof DIALLERS;

const CHOICES: readonly TransportChoice[] = Object.freeze(['auto', ...(Object.keys(DIALLERS) as (keyof typeof DIALLERS)[])]);

/** Reads the value of `--transport`. @throws TowlineError `usage` for one that is none. */
export function parseTransportChoice(text: string): TransportChoice {
  const choice = CHOICES.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new TowlineError('usage', `--transport does not know “${shown(text, 40)}”.`, {
    hint: `Use one of ${CHOICES.join(', ')}; auto takes the best that works.`,
  });
}

/** What a link is dialled with. */
export interface LinkRequest extends LadderRequest {
  readonly relay: URL;
}

/** Dials a relay. @throws TowlineError as the diallers do, and `unavailable` for a transport that this machine cannot have. */
export async function dialBy(choice: TransportChoice, { relay, ...request }: LinkRequest, host: DialHost): Promise<LadderLink> {
  const chosen = choice === 'auto' ? Object.values(DIALLERS) : [DIALLERS[choice]];
  const rungs = await Promise.all(chosen.map((create) => create(host)));
  return createLadder({ relay, rungs, memory: createProcessMemory() }).dial(request);
}
