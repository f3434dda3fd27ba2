import type { DialTransport, Link, TrustSettings } from '@towline/contract';
import { createLadder, createProcessMemory } from '@towline/link';
import { toTowlineError } from '@towline/protocol';
import { createQuicDial } from '../../plugins/transport-quic/src/dial.ts';
import { createTlsDial, createWebSocketDial } from '../../plugins/transport-tls/src/dial.ts';
import { type Door, openTcpDoor, openUdpDoor, type Shown } from './certificate-door.ts';

/** What a device would send. */
export const CREDENTIAL = 'twl_d_secret';
/** Names of the transports, best first. */
export const TRANSPORTS = Object.freeze(['quic', 'tls', 'websocket'] as const);
export type TransportName = (typeof TRANSPORTS)[number];

/** Both doors of a relay, on one port number. Either may show something of its own, or be missing. */
export interface Doors extends AsyncDisposable {
  readonly port: number;
  readonly tcp: Door | null;
  readonly udp: Door | null;
  readonly sentBytes: () => number;
  readonly credentials: () => readonly string[];
  /** Resolves when every connection so far is over. */
  readonly quiet: () => Promise<void>;
}

/** Opens doors; the port may be free for TCP and taken for UDP, so that several are tried. */
export async function openDoors(shown: { readonly tcp: Shown | null; readonly udp: Shown | null }, host = '127.0.0.1'): Promise<Doors> {
  for (let tries = 1; ; tries += 1) {
    const tcp = shown.tcp && (await openTcpDoor(shown.tcp, host, 0));
    try {
      const udp = shown.udp && (await openUdpDoor(shown.udp, host, tcp?.port ?? 0));
      const doors = [tcp, udp].filter((door) => door !== null);
      return {
        port: doors[0]!.port,
        tcp,
        udp,
        sentBytes: () => doors.reduce((sum, door) => sum + door.sentBytes(), 0),
        credentials: () => doors.flatMap(({ credentials }) => credentials),
        async quiet() {
          await Promise.all(doors.map((door) => door.quiet()));
        },
        async [Symbol.asyncDispose]() {
          await Promise.all(doors.map((door) => door[Symbol.asyncDispose]()));
        },
      };
    } catch (error) {
      await tcp?.[Symbol.asyncDispose]();
      if (tries === 5) throw error;
    }
  }
}

/** What came of a dial. */
export interface Outcome {
  /** `linked`, or the code of the error. */
  readonly verdict: string;
  readonly message: string;
  readonly warnings: readonly string[];
}

/** How a relay is dialled. */
export interface DialOptions {
  /** Host as it stands in the URL. */
  readonly host: string;
  readonly port: number;
  readonly trust: TrustSettings;
  readonly environment?: NodeJS.ProcessEnv;
}

/** The three real dials, best first. */
export function createDials(environment: NodeJS.ProcessEnv, warn: (text: string) => void): Readonly<Record<TransportName, DialTransport>> {
  const host = { environment, warn };
  return { quic: createQuicDial(host), tls: createTlsDial(host), websocket: createWebSocketDial(host) };
}

/** Dials as a device does, closes the link if there is one, and tells what came of it. */
export async function attempt(name: TransportName, { host, port, trust, environment = {} }: DialOptions): Promise<Outcome> {
  const warnings: string[] = [];
  const dial = createDials(environment, (text) => void warnings.push(text))[name];
  try {
    const link = await dial.dial({ relay: new URL(`https://${host}:${port}`), ...request(trust) });
    await hangUp(link);
    return { verdict: 'linked', message: '', warnings };
  } catch (error) {
    const { code, message } = toTowlineError(error);
    return { verdict: code, message, warnings };
  }
}

/** What came of a dial by all three, best first. */
export interface LadderOutcome extends Outcome {
  readonly transport?: string;
  readonly note?: string | undefined;
}

/** The same by the ladder of the three. */
export async function climb({ host, port, trust, environment = {} }: DialOptions): Promise<LadderOutcome> {
  const warnings: string[] = [];
  const relay = new URL(`https://${host}:${port}`);
  const dials = createDials(environment, (text) => void warnings.push(text));
  const ladder = createLadder({ relay, rungs: TRANSPORTS.map((name) => dials[name]), memory: createProcessMemory() });
  try {
    const { link, transport, note } = await ladder.dial(request(trust));
    await hangUp(link);
    return { verdict: 'linked', message: '', warnings, transport, note };
  } catch (error) {
    const { code, message } = toTowlineError(error);
    return { verdict: code, message, warnings };
  }
}

/** A dial of a device, without the relay. */
export function request(trust: TrustSettings, signal: AbortSignal = new AbortController().signal) {
  return { role: 'device', credential: { header: 'X-API-Key', value: CREDENTIAL }, trust, signal } as const;
}

export async function hangUp(link: Link): Promise<void> {
  await link.close('link_closed', 'The test is over.');
}
