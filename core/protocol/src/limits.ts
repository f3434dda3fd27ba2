/** Limits of the wire. Each has its reason; a peer that exceeds one is refused, never obeyed. */

/**
 * Largest payload of a link frame: a read of a pipe or a socket in Node, 64 KiB, with room for the heads of what carries it. One turn of the
 * scheduler should stay short.
 */
export const MAX_FRAME_PAYLOAD = 65_600;
/** Largest head of a stream (the OPEN payload): an open message of {@link MAX_OPEN_MESSAGE} with its grant around it. */
export const MAX_STREAM_HEAD = 49_152;
/** Largest open message a client may send: an argv of some thousand words fits. */
export const MAX_OPEN_MESSAGE = 32_768;
/** Largest value of a secret, bytes of UTF-8: a private key or a certificate chain. */
export const MAX_SECRET_BYTES = 16_384;
/** Names and values of all secrets of one session, bytes: in base64 they leave 4 KiB of an open message for the command. */
export const MAX_SESSION_SECRET_BYTES = 20_480;
/** Largest control message: a list of 500 live sessions fits. */
export const MAX_CONTROL_MESSAGE = 262_144;
/** Depth of JSON accepted from a peer: ours needs five levels. */
export const MAX_JSON_DEPTH = 12;
/** Largest payload of a session frame: the same as a pipe read. */
export const MAX_SESSION_PAYLOAD = 65_536;
/** Largest text in a CLOSE frame, bytes: one sentence. */
export const MAX_CLOSE_TEXT = 1_024;

/** Credit of a new stream, bytes: enough for 20 Mbit/s at 100 ms before any growth. */
export const INITIAL_STREAM_CREDIT = 262_144;
/** Largest credit a stream may grow to, bytes: 1 Gbit/s at 64 ms. */
export const MAX_STREAM_CREDIT = 8_388_608;
/** Credit that all streams of a link may have grown by together, bytes. */
export const MAX_LINK_CREDIT_GROWTH = 33_554_432;
/** Streams that may be open at once on a link. Thousands of forwarded connections share one. */
export const MAX_STREAMS_PER_LINK = 8_192;
/** Streams a peer may open in a second, averaged over ten: a busy forward needs 500. */
export const MAX_OPENINGS_PER_SECOND = 2_000;
/** PING, RESET, zero-length and tiny frames that carry no data, per second, averaged over ten. */
export const MAX_CONTROL_FRAMES_PER_SECOND = 10_000;

/** Time in which a peer must have proved who it is, milliseconds. */
export const AUTHENTICATION_DEADLINE_MS = 5_000;
/** Silence after which an echo is asked for, milliseconds. */
export const SILENCE_BEFORE_ECHO_MS = 5_000;
/** Silence after which a link counts as lost, milliseconds: row A6 promises 15 s. */
export const SILENCE_BEFORE_LOST_MS = 12_000;
/** Validity of a grant, milliseconds: one opening, with a slow device in mind. */
export const GRANT_VALIDITY_MS = 60_000;
/** Bytes of a session that may be sent before the first acknowledgement. */
export const INITIAL_SESSION_WINDOW = 262_144;
/** Largest window of a session, bytes: 100 Mbit/s at 300 ms. A receiver whose user does not read holds so much at most. */
export const MAX_SESSION_WINDOW = 4_194_304;
/** Bytes by which messages and ends may exceed the window: a signal must pass where data waits. */
export const SESSION_MESSAGE_HEADROOM = 65_536;
