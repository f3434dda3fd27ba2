import { hkdfSync } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ListenerState, Log, RelayCertificate, RelayDoor, TransportListener } from '@towline/contract';
import { TowlineError, toTowlineError } from '@towline/protocol';
import type { EdgeStart } from '../edge/edge-messages.ts';
import { createEdgeRecord } from './edge-record.ts';
import { folderCandidates } from './private-folder.ts';
import { openPrivateSocket } from './private-socket.ts';
import { superviseEdge } from './supervise-edge.ts';

/** Memory of an edge without connections, and what each of them may need, bytes: an idle one was measured at 75 KiB. */
const BASE_BYTES = 402_653_184;
const BYTES_PER_CONNECTION = 131_072;
/** Of the memory of the machine the edge never gets more than this part. */
const SHARE_OF_MEMORY = 0.5;

/** What the listener is made with. */
export interface ListenSettings {
  readonly dataDir: string;
  readonly maxConnections: number;
  readonly log: Log;
  /** File of the edge's program; that of this package by default. */
  readonly program?: string;
  /** Memory the edge may hold, bytes. By default as much as its connections may need. */
  readonly maxResidentBytes?: number;
}

/** Serves QUIC for the relay, in a process of its own. Resolves also where that is not possible; the state tells why. */
export async function listenQuic(door: RelayDoor, settings: ListenSettings): Promise<TransportListener> {
  if (door.certificate === null) return unavailable('QUIC needs TLS, which is switched off in the config of the relay.');
  const record = createEdgeRecord(join(settings.dataDir, 'quic-edge.json'), settings.log);
  await record.endStale();
  try {
    return await startListener(door, door.certificate, { ...settings, record });
  } catch (error) {
    const { message, detail } = toTowlineError(error);
    settings.log.warn('QUIC is not served; links use TLS', { detail: message, reason: detail });
    return unavailable(message);
  }
}

async function startListener(
  door: RelayDoor,
  certificate: RelayCertificate,
  { dataDir, maxConnections, log, record, program = edgeProgram(), maxResidentBytes = memoryBound(maxConnections) }: StartSettings,
): Promise<TransportListener> {
  const host = await addressOf(door.host);
  const socket = await openPrivateSocket({ folders: folderCandidates(dataDir), accept: door.accept, maxConnections, log });
  const start: EdgeStart = {
    type: 'start',
    host,
    port: door.port,
    certificate: { cert_pem: certificate.certPem, key_pem: certificate.keyPem },
    secret: tokenSecret(certificate),
    door: socket.door,
    max_connections: maxConnections,
  };
  const supervisor = superviseEdge({ program, start, folder: socket.folder, record, maxResidentBytes, log });
  await supervisor.settled;
  return {
    get state() {
      const { figures, ...state } = supervisor.state;
      return { ...state, figures: { ...figures, ...socket.figures } };
    },
    renewCertificate: (renewed) => supervisor.renewCertificate(renewed),
    async [Symbol.asyncDispose]() {
      await supervisor[Symbol.asyncDispose]();
      await socket[Symbol.asyncDispose]();
    },
  };
}

interface StartSettings extends ListenSettings {
  readonly record: ReturnType<typeof createEdgeRecord>;
}

/** A UDP socket is bound to an address; the config may give a name. */
async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new TowlineError('unavailable', `QUIC cannot listen on ${host}: the name has no address.`, { cause });
  }
}

function edgeProgram(): string {
  return fileURLToPath(new URL('../edge/main.js', import.meta.url));
}

/**
 * Secret of the tokens by which an edge recognises what an earlier one gave out, also that of an earlier relay: devices
 * are told at once then that their connection is gone. Derived from the key of the certificate, so that it needs no file.
 */
function tokenSecret({ keyPem }: RelayCertificate): string {
  return Buffer.from(hkdfSync('sha256', keyPem, '', 'towline QUIC edge tokens', 32)).toString('hex');
}

function memoryBound(maxConnections: number): number {
  const limit = process.constrainedMemory?.() ?? 0;
  const machine = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return Math.min(BASE_BYTES + maxConnections * BYTES_PER_CONNECTION, machine * SHARE_OF_MEMORY);
}

function unavailable(detail: string): TransportListener {
  const state: ListenerState = { status: 'unavailable', detail, figures: { up: 0 } };
  return { state, renewCertificate: () => undefined, [Symbol.asyncDispose]: async () => undefined };
}
