import { TowlineError } from '../errors/towline-error.ts';
import { MAX_CLOSE_TEXT, MAX_FRAME_PAYLOAD, MAX_STREAM_HEAD } from '../limits.ts';

/** Bytes before the payload of a link frame: type (8 bits), length of the payload (24), stream id (32), big endian. */
export const FRAME_HEAD_BYTES = 8;

/** First byte of a link frame. Zero is no type, so that a run of zeros is never a frame. */
export const FRAME_TYPE = { open: 1, data: 2, fin: 3, reset: 4, credit: 5, ping: 6, pong: 7, close: 8 } as const;

/** Largest stream id. */
export const MAX_STREAM_ID = 0xffff_ffff;
/** Largest credit that one frame may grant and that a stream may hold: fits a signed 32-bit number anywhere. */
export const MAX_CREDIT = 0x7fff_ffff;
/** Bytes of a PING or PONG, opaque to whoever answers. */
export const PING_BYTES = 8;

/** What the payload of a frame type may be. `link`: the frame concerns the link, and its stream id is zero. */
export interface FrameRule {
  readonly name: keyof typeof FRAME_TYPE;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly link: boolean;
}

/** The rules by frame type. A frame that breaks its rule is a protocol error. */
export const FRAME_RULES: readonly (FrameRule | undefined)[] = [
  undefined,
  { name: 'open', minBytes: 1, maxBytes: MAX_STREAM_HEAD, link: false },
  { name: 'data', minBytes: 1, maxBytes: MAX_FRAME_PAYLOAD, link: false },
  { name: 'fin', minBytes: 0, maxBytes: 0, link: false },
  { name: 'reset', minBytes: 4, maxBytes: 4, link: false },
  { name: 'credit', minBytes: 4, maxBytes: 4, link: false },
  { name: 'ping', minBytes: PING_BYTES, maxBytes: PING_BYTES, link: true },
  { name: 'pong', minBytes: PING_BYTES, maxBytes: PING_BYTES, link: true },
  { name: 'close', minBytes: 4, maxBytes: 4 + MAX_CLOSE_TEXT, link: true },
];

/** Checks what a stream's opener says about it. @throws TowlineError `invalid_request` when it is empty, `too_large` over 48 KiB. */
export function checkStreamHead(head: Uint8Array): void {
  if (head.length === 0) throw new TowlineError('invalid_request', 'The head of a stream must not be empty.');
  if (head.length > MAX_STREAM_HEAD) {
    throw new TowlineError('too_large', `The head of a stream has ${head.length} bytes, where ${MAX_STREAM_HEAD} are allowed.`);
  }
}

/** OPEN: a new stream and what its opener says about it. @throws as {@link checkStreamHead}. */
export function encodeOpen(stream: number, head: Uint8Array): Buffer {
  checkStreamHead(head);
  return encodeFrame(FRAME_TYPE.open, stream, head);
}

/** The head of a DATA frame. Its payload of 1 to {@link MAX_FRAME_PAYLOAD} bytes follows uncopied. */
export function encodeDataHead(stream: number, payloadBytes: number): Buffer {
  return writeHead(Buffer.allocUnsafe(FRAME_HEAD_BYTES), FRAME_TYPE.data, { stream, payloadBytes });
}

/** FIN: the clean end of what the sender sends on a stream. */
export function encodeFin(stream: number): Buffer {
  return writeHead(Buffer.allocUnsafe(FRAME_HEAD_BYTES), FRAME_TYPE.fin, { stream, payloadBytes: 0 });
}

/** RESET: the stream is over in both directions. `wire` is the number of a catalogue code. */
export function encodeReset(stream: number, wire: number): Buffer {
  return encodeNumber(FRAME_TYPE.reset, stream, wire);
}

/** CREDIT: the receiver of a stream allows so many bytes more. */
export function encodeCredit(stream: number, bytes: number): Buffer {
  return encodeNumber(FRAME_TYPE.credit, stream, bytes);
}

/** PING with eight bytes that the PONG brings back. */
export function encodePing(opaque: Uint8Array): Buffer {
  return encodeFrame(FRAME_TYPE.ping, 0, opaque);
}

/** PONG, the answer to a PING. */
export function encodePong(opaque: Uint8Array): Buffer {
  return encodeFrame(FRAME_TYPE.pong, 0, opaque);
}

/** CLOSE: the link is over. The text is cut at 1,024 bytes, between characters. */
export function encodeClose(wire: number, text: string): Buffer {
  const utf8 = Buffer.alloc(MAX_CLOSE_TEXT);
  const { written } = new TextEncoder().encodeInto(text, utf8);
  const payload = Buffer.allocUnsafe(4 + written);
  payload.writeUInt32BE(wire, 0);
  utf8.copy(payload, 4, 0, written);
  return encodeFrame(FRAME_TYPE.close, 0, payload);
}

function encodeNumber(type: number, stream: number, value: number): Buffer {
  const frame = writeHead(Buffer.allocUnsafe(FRAME_HEAD_BYTES + 4), type, { stream, payloadBytes: 4 });
  frame.writeUInt32BE(value, FRAME_HEAD_BYTES);
  return frame;
}

function encodeFrame(type: number, stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
  frame.set(payload, FRAME_HEAD_BYTES);
  return writeHead(frame, type, { stream, payloadBytes: payload.length });
}

function writeHead(frame: Buffer, type: number, of: { readonly stream: number; readonly payloadBytes: number }): Buffer {
  frame.writeUInt32BE(type * 0x1000000 + of.payloadBytes, 0);
  frame.writeUInt32BE(of.stream, 4);
  return frame;
}
