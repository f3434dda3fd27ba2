/** Limits of forwards. Each has its reason. */

/** Time for one look-up of a name on the device, milliseconds: a resolver asks a second server after five seconds. */
export const LOOK_UP_MS = 6_000;
/**
 * Look-ups at a time. Node does as many with the four threads that it has for works of the system, and keeps the others for files; more would
 * stand before those of the runtime itself, which looks up its relay. One that nobody answers takes ten seconds, and cannot be given up.
 */
export const LOOK_UPS = Object.freeze({ places: 2, each: 1 });
/** Time for look-up and connection together, milliseconds: below the ten seconds that a device has to prepare a session. */
export const REACH_MS = 9_000;
/** Addresses of one name that are judged; whoever answers for a name may give it thousands. */
export const MAX_FOUND = 32;
/** Addresses of one name that are tried. */
export const MAX_ADDRESSES = 4;
/** How long a target may be silent before the system asks whether it is still there, milliseconds. */
export const KEEP_ALIVE_MS = 60_000;

/** How long a socket may take to send what waits before its end, once its session has broken, milliseconds. */
export const FLUSH_MS = 10_000;

/** Largest datagram: IPv4 leaves so much of 65,535 bytes. */
export const MAX_DATAGRAM = 65_507;
/** Datagrams of one flow that wait for the other end, bytes; what comes beyond that is dropped, as networks do. */
export const MAX_FLOW_WAITING = 262_144;
/** Datagrams of one flow that wait for the other end: one of no bytes takes memory, too. */
export const MAX_FLOW_QUEUED = 2_048;
/** Silence after which the device gives a flow up whose client does not, milliseconds: longer than any client of ours waits. */
export const DEVICE_FLOW_IDLE_MS = 330_000;

/** Silence after which the client ends a flow, milliseconds, unless told otherwise. Most answers come within a second. */
export const FLOW_IDLE_MS = 60_000;
/** Shortest and longest such time, seconds. */
export const FLOW_IDLE_SECONDS = Object.freeze({ least: 1, most: 300 });
/** Flows of one command; a new one takes the place of the one that was silent for longest. */
export const MAX_FLOWS = 1_024;
/** Connections of one command that are open or being opened. */
export const MAX_CONNECTIONS = 4_096;
/** Openings of one command that are under way: a relay judges 64 of one principal at a time, and a second command wants some. */
export const MAX_OPENINGS = 48;
/** How long a connection waits for the link to the relay, milliseconds: a person waits so long. */
export const WAIT_MS = 10_000;
/** How long an opening may take, milliseconds, and how long a connection waits for its turn before that: the device has ten seconds for its part. */
export const OPEN_MS = 30_000;
/** How long the device may take to tell how a connection ended that is over here, milliseconds. */
export const RESULT_MS = 10_000;
/** Local ports that one command listens on. */
export const MAX_LISTENERS = 1_024;

/** Time for a program to say by SOCKS what it wants, milliseconds. */
export const SOCKS_HANDSHAKE_MS = 10_000;
/** Standard port of SOCKS (RFC 1928). */
export const SOCKS_PORT = 1_080;
