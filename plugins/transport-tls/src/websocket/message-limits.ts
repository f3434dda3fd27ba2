/** Subprotocol both ends name, so that link bytes never meet a program that expects something else. */
export const SUBPROTOCOL = 'towline.1';
/**
 * Largest message that is sent, bytes. A message is handed on only when it is whole, so a large one would delay on a slow
 * line what a bare connection shows at once. With its head of up to 8 bytes it just fills a TLS record.
 */
export const MAX_SENT_BYTES = 16_376;
/** Largest message that is taken, bytes: what one link can make this end hold before any of it is looked at. */
export const MAX_TAKEN_BYTES = 65_536;
/**
 * Fragments of one message. We send none; what a proxy between may cut stays far below. Each keeps the whole read it
 * came with, up to 64 KiB.
 */
const MAX_FRAGMENTS = 64;
/** Reads one message may be spread over: at 16 bytes each it is no line but an attack. */
const MAX_PARTS = 4_096;
/** Time for the answer to a closing handshake, milliseconds, before the connection is cut. */
const CLOSE_MS = 1_000;
/**
 * Frames that bring nothing: pings, pongs and empty messages a second, averaged over ten. Neither end sends any;
 * proxies that do send one every few seconds.
 */
export const IDLE_FRAMES_PER_SECOND = 3;
/** See {@link IDLE_FRAMES_PER_SECOND}. */
export const AVERAGED_OVER_SECONDS = 10;

/** Options of ws for both ends. Compression stays off: payloads are encrypted or compressed already, and it costs memory and leaks lengths. */
export const SOCKET_OPTIONS = Object.freeze({
  perMessageDeflate: false,
  maxPayload: MAX_TAKEN_BYTES,
  maxFragments: MAX_FRAGMENTS,
  maxBufferedChunks: MAX_PARTS,
  closeTimeout: CLOSE_MS,
  // Close reasons are shown to nobody, and text messages are refused unread.
  skipUTF8Validation: true,
});
