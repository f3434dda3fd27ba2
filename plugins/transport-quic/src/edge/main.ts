import { Socket } from 'node:net';
import type { RelayCertificate } from '@towline/contract';
import { SILENCE_BEFORE_LOST_MS, toTowlineError } from '@towline/protocol';
import { createCollector } from './collect-garbage.ts';
import { BEAT_EVERY_MS, CHANNEL_FD, type EdgeFailure, type EdgeStart, relayChannel, type ToEdge } from './edge-messages.ts';
import { type RunningEdge, runEdge } from './run-edge.ts';

// Program of the QUIC edge. The relay starts it with a channel between the two; it lives while both hear from each other.

/**
 * Without a word of the relay for so long the edge ends, milliseconds: its peers hear from the edge while the relay stands
 * still, and would wait on. A relay that stood still for a moment is not gone.
 */
const RELAY_SILENCE_MS = SILENCE_BEFORE_LOST_MS;
/** A look that is late by more than this tells that this process stood still itself, and the relay's words may wait unread. */
const STOOD_STILL_MS = 1_000;
/** Time to take leave when the relay has gone, milliseconds. */
const ORPHAN_LEAVE_MS = 500;

process.title = 'towline-quic-edge';
// Ctrl-C and service managers signal all processes of the relay. It ends this one itself, after its links have taken leave.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const channel = relayChannel(new Socket({ fd: CHANNEL_FD, readable: true, writable: true }));
const parent = process.ppid;
const collectGarbage = createCollector();
let edge: RunningEdge | undefined;
let renewed: RelayCertificate | undefined;
let heardMs = performance.now();
let lookedMs = heardMs;
let leaving = false;

channel.onMessage((message) => {
  heardMs = performance.now();
  if (message.type === 'start') void start(message);
  else if (message.type === 'renew') renew(message);
  else if (message.type === 'close') void leave(message.message);
});
void channel.closed.then(orphaned);
setInterval(() => {
  const nowMs = performance.now();
  if (nowMs - lookedMs > BEAT_EVERY_MS + STOOD_STILL_MS) heardMs = nowMs;
  lookedMs = nowMs;
  // The parent's number changes when it dies, also where something else keeps the channel open.
  if (process.ppid !== parent || nowMs - heardMs > RELAY_SILENCE_MS) return orphaned();
  collectGarbage(process.memoryUsage.rss());
  channel.send({ type: 'beat', figures: { ...edge?.figures, resident_bytes: process.memoryUsage.rss() } });
}, BEAT_EVERY_MS);

async function start(settings: EdgeStart): Promise<void> {
  try {
    edge = await runEdge(settings);
    // It may have come while the port was being opened.
    if (renewed) useCertificate(edge, renewed);
    channel.send({ type: 'up', ...edge.opened });
  } catch (error) {
    const { message, detail } = toTowlineError(error);
    // For the log alone: it names files, and the state is shown to anybody.
    if (detail) process.stderr.write(`${detail}\n`);
    channel.send({ type: 'failed', reason: failureOf(error), message: message.slice(0, 1_000) });
  }
}

function failureOf(error: unknown): EdgeFailure {
  const { code, cause } = toTowlineError(error);
  const system = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (system === 'EADDRINUSE') return 'port_in_use';
  if (system === 'EACCES' || system === 'EPERM') return 'not_permitted';
  return code === 'unavailable' && system === undefined ? 'not_available' : 'failed';
}

function renew({ certificate }: Extract<ToEdge, { readonly type: 'renew' }>): void {
  renewed = { certPem: certificate.cert_pem, keyPem: certificate.key_pem };
  if (edge) useCertificate(edge, renewed);
}

function useCertificate(running: RunningEdge, certificate: RelayCertificate): void {
  try {
    running.renewCertificate(certificate);
  } catch (error) {
    console.error(`The new certificate cannot be used, the old one stays: ${(error as Error).message}`);
  }
}

/** The relay has gone. Its peers are told, in a moment. */
function orphaned(): void {
  setTimeout(() => process.exit(1), ORPHAN_LEAVE_MS);
  void leave('The relay has gone.');
}

async function leave(message: string): Promise<void> {
  if (leaving) return;
  leaving = true;
  await edge?.close('unavailable', message).catch(() => undefined);
  process.exit(0);
}
