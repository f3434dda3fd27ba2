import type { Duplex } from 'node:stream';
import { type ControlChannel, createControlChannel } from '@towline/link';
import { defineMessage, MAX_CONTROL_MESSAGE, textSchema } from '@towline/protocol';
import { z } from 'zod';

/** File descriptor of the channel in the edge process. */
export const CHANNEL_FD = 3;
/** How often relay and edge tell each other that they go on, milliseconds. */
export const BEAT_EVERY_MS = 1_000;
/** Figures an edge may report. */
const MAX_FIGURES = 64;

const port = z.int().min(0).max(65_535);
const bytes = z.int().min(0);
const certificate = z.object({ cert_pem: z.string(), key_pem: z.string() });

const toEdge = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start'),
    /** IP address to listen on. */
    host: z.string(),
    port,
    certificate,
    /** Key of retry and stateless reset tokens: 32 bytes, hex. */
    secret: z.string().regex(/^[0-9a-f]{64}$/),
    door: z.object({ path: z.string(), secret: z.string() }),
    max_connections: z.int().min(1),
  }),
  z.object({ type: z.literal('beat') }),
  z.object({ type: z.literal('renew'), certificate }),
  /** Take leave of all connections and exit. */
  z.object({ type: z.literal('close'), message: textSchema(1_000) }),
]);
/** What the relay tells its edge. */
export type ToEdge = z.infer<typeof toEdge>;
/** What an edge starts with. */
export type EdgeStart = Extract<ToEdge, { readonly type: 'start' }>;

const failure = z.enum(['port_in_use', 'not_permitted', 'not_available', 'failed']);
/** Why an edge cannot serve: the port is another's, is not permitted, there is no native part for this machine, or something else. */
export type EdgeFailure = z.infer<typeof failure>;

const fromEdge = z.discriminatedUnion('type', [
  z.object({ type: z.literal('up'), port, receive_buffer_bytes: bytes, send_buffer_bytes: bytes, source: textSchema(128) }),
  z.object({ type: z.literal('failed'), reason: failure, message: textSchema(1_000) }),
  z.object({
    type: z.literal('beat'),
    /** By name; counters end in `_total` and count from the start of this process. */
    figures: z
      .record(z.string().regex(/^[a-z][a-z0-9_]{0,63}$/), z.number().min(0))
      .refine((figures) => Object.keys(figures).length <= MAX_FIGURES, `at most ${MAX_FIGURES} figures`),
  }),
]);
/** An edge that serves. Sizes of its socket's buffers as the kernel reports them, and the package of the native part. */
export type EdgeUp = Extract<FromEdge, { readonly type: 'up' }>;
/** What an edge tells its relay. */
export type FromEdge = z.infer<typeof fromEdge>;

const TO_EDGE = defineMessage('message to the QUIC edge', toEdge, MAX_CONTROL_MESSAGE);
const FROM_EDGE = defineMessage('message of the QUIC edge', fromEdge, MAX_CONTROL_MESSAGE);

/**
 * The relay's end of the channel. It is a pipe of our own and not Node's, whose parser throws in the relay when the
 * edge writes nonsense, and holds whatever it writes.
 */
export function edgeChannel(pipe: Duplex): ControlChannel<ToEdge, FromEdge> {
  return createControlChannel<ToEdge, FromEdge>(asStream(pipe), { encode: TO_EDGE, decode: FROM_EDGE });
}

/** The edge's end of the channel. */
export function relayChannel(pipe: Duplex): ControlChannel<FromEdge, ToEdge> {
  return createControlChannel<FromEdge, ToEdge>(asStream(pipe), { encode: FROM_EDGE, decode: TO_EDGE });
}

function asStream(pipe: Duplex) {
  return Object.assign(pipe, { head: Buffer.alloc(0) });
}
