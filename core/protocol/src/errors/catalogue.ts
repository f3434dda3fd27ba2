/** One row of the error catalogue. */
export interface ErrorRow {
  /** Status of an HTTP answer. */
  readonly status: number;
  /** Code in RESET and CLOSE frames. Never reused. */
  readonly wire: number;
  /** Exit code of the command line programs. */
  readonly exit: number;
  /** Default public text: what happened. May cross the wire. */
  readonly text: string;
  /** What to do next. */
  readonly hint: string;
}

/**
 * Every error this software reports, by its literal code.
 * Rows are added, never changed in meaning; wire codes are never reused.
 */
export const ERRORS = {
  // Requests and commands
  invalid_request: {
    status: 400,
    wire: 1,
    exit: 2,
    text: 'The request is not valid.',
    hint: 'Correct what the message names and try again.',
  },
  usage: { status: 400, wire: 2, exit: 2, text: 'The command was used wrongly.', hint: 'See --help.' },
  too_large: { status: 413, wire: 3, exit: 2, text: 'The request is too large.', hint: 'Send less in one request.' },
  ambiguous: { status: 409, wire: 4, exit: 2, text: 'The name fits more than one object.', hint: 'Use the exact id.' },
  conflict: {
    status: 409,
    wire: 5,
    exit: 1,
    text: 'The object was changed by someone else.',
    hint: 'Read it again and repeat the change.',
  },
  not_found: {
    status: 404,
    wire: 6,
    exit: 4,
    text: 'No such object, or it is not yours to see.',
    hint: 'Check the name; `towline devices list` shows what you can see.',
  },
  rate_limited: { status: 429, wire: 7, exit: 1, text: 'Too many requests.', hint: 'Wait and try again.' },
  internal: { status: 500, wire: 8, exit: 1, text: 'An internal error.', hint: 'The log of the process that reported it has the detail.' },
  unavailable: { status: 503, wire: 9, exit: 1, text: 'The relay cannot serve this now.', hint: 'Try again in a moment.' },
  cancelled: { status: 499, wire: 10, exit: 130, text: 'Interrupted.', hint: 'Run it again when you want it.' },
  timeout: {
    status: 504,
    wire: 11,
    exit: 1,
    text: 'No answer in time.',
    hint: 'Try again; `towline D status` tells whether the device is online.',
  },

  // Who you are and what you may do
  unauthenticated: {
    status: 401,
    wire: 20,
    exit: 3,
    text: 'Not logged in, or the credential is not known here.',
    hint: 'Run `towline login`, or set TOWLINE_API_KEY.',
  },
  forbidden: { status: 403, wire: 21, exit: 3, text: 'Not allowed.', hint: 'Ask an admin of the device or its organisation.' },
  key_wrong_kind: {
    status: 401,
    wire: 22,
    exit: 3,
    text: 'This kind of API key cannot be used here.',
    hint: 'twl_u_ keys are for people and programs, twl_d_ keys for an enrolled device, twl_e_ keys for enrolling.',
  },
  key_revoked: { status: 401, wire: 23, exit: 3, text: 'The API key was revoked.', hint: 'Ask for a new one.' },
  key_expired: { status: 401, wire: 24, exit: 3, text: 'The API key has expired.', hint: 'Ask for a new one.' },
  key_spent: {
    status: 401,
    wire: 25,
    exit: 3,
    text: 'The enrolment key has enrolled as many devices as it may.',
    hint: 'Create another with `towline-relay keys create --enrol`.',
  },

  user_disabled: {
    status: 403,
    wire: 26,
    exit: 3,
    text: 'Your account is disabled on this relay.',
    hint: 'Ask an admin of the relay.',
  },
  token_invalid: {
    status: 401,
    wire: 27,
    exit: 3,
    text: 'The token was not issued for this relay, or is damaged.',
    hint: 'Run `towline login` again.',
  },
  token_expired: { status: 401, wire: 28, exit: 3, text: 'The login has expired.', hint: 'Run `towline login` again.' },
  provider_unavailable: {
    status: 503,
    wire: 29,
    exit: 1,
    text: 'The identity provider cannot be reached.',
    hint: 'Try again in a moment; an API key works meanwhile.',
  },
  last_admin: {
    status: 409,
    wire: 30,
    exit: 1,
    text: 'The organisation would have no admin left.',
    hint: 'Make somebody else admin of it first, or delete it.',
  },
  access_ended: {
    status: 403,
    wire: 31,
    exit: 3,
    text: 'Your access to the device has ended.',
    hint: 'Ask an admin of the device or its organisation.',
  },
  org_deleted: {
    status: 410,
    wire: 32,
    exit: 4,
    text: 'The organisation was deleted. Its id is not given again.',
    hint: 'Choose another organisation.',
  },
  login_denied: {
    status: 403,
    wire: 33,
    exit: 3,
    text: 'The login was refused at the identity provider.',
    hint: 'Run `towline login` again, and confirm the code there.',
  },

  // Devices and enrolment
  device_offline: {
    status: 503,
    wire: 40,
    exit: 5,
    text: 'The device is offline.',
    hint: 'It shows up by itself once its runtime reaches the relay.',
  },
  device_removed: {
    status: 410,
    wire: 41,
    exit: 3,
    text: 'The device was removed from the relay.',
    hint: 'Run `towline runtime run` with --email or --org to enrol it again.',
  },
  device_replaced: {
    status: 409,
    wire: 42,
    exit: 1,
    text: 'A newer connection of the same device took over.',
    hint: 'If this is another machine, both were made from one image: delete device.json on one and enrol it.',
  },
  device_lost: {
    status: 503,
    wire: 43,
    exit: 5,
    text: 'The connection to the device was lost.',
    hint: 'It comes back by itself; then try again.',
  },
  device_identity: {
    status: 409,
    wire: 44,
    exit: 1,
    text: 'This device id belongs to another key.',
    hint: 'Delete device.json on the device, so that it makes an identity of its own.',
  },
  registration_expired: {
    status: 410,
    wire: 45,
    exit: 1,
    text: 'The request to enrol has expired.',
    hint: 'Start the runtime again to make a new one.',
  },
  registration_rejected: {
    status: 403,
    wire: 46,
    exit: 3,
    text: 'The request to enrol was rejected.',
    hint: 'Ask the admin who rejected it.',
  },
  registration_decided: {
    status: 409,
    wire: 47,
    exit: 1,
    text: 'The request was decided already.',
    hint: '`towline devices list` shows the device if it was approved.',
  },
  registration_limit: {
    status: 429,
    wire: 48,
    exit: 1,
    text: 'Too many requests to enrol are waiting.',
    hint: 'Approve or reject some, or wait until they expire.',
  },
  proof_invalid: {
    status: 401,
    wire: 49,
    exit: 3,
    text: 'The device did not prove that it holds its private key.',
    hint: 'Restore device.json, or remove the device and enrol it again.',
  },
  device_outdated: {
    status: 409,
    wire: 50,
    exit: 1,
    text: 'The runtime on the device is of a version that cannot do this.',
    hint: 'Update it there and start it again.',
  },

  // Links, streams and sessions
  protocol_error: {
    status: 400,
    wire: 60,
    exit: 1,
    text: 'The peer broke the protocol.',
    hint: 'Check that both ends are Towline and of versions that fit.',
  },
  link_lost: { status: 503, wire: 61, exit: 1, text: 'The connection was lost.', hint: 'Check the network and try again.' },
  link_closed: { status: 503, wire: 62, exit: 1, text: 'The connection was closed.', hint: 'Try again.' },
  link_silent: { status: 503, wire: 63, exit: 1, text: 'The peer fell silent.', hint: 'Check the network and try again.' },
  link_flooded: {
    status: 429,
    wire: 64,
    exit: 1,
    text: 'The peer exceeded a limit of the link.',
    hint: 'Open fewer streams, or open them more slowly.',
  },
  stream_limit: { status: 429, wire: 65, exit: 1, text: 'Too many streams are open.', hint: 'Close some first.' },
  stream_reset: { status: 503, wire: 66, exit: 1, text: 'The stream was reset by the peer.', hint: 'Try again.' },
  stream_not_offered: {
    status: 404,
    wire: 67,
    exit: 4,
    text: 'This relay does not offer that kind of stream.',
    hint: 'Its operator can add it under `streams` in the config of the relay.',
  },
  stream_not_served: {
    status: 404,
    wire: 68,
    exit: 4,
    text: 'This device does not serve that kind of stream.',
    hint: 'Its owner can add it under `streams` in device.yaml.',
  },
  grant_invalid: {
    status: 403,
    wire: 69,
    exit: 3,
    text: 'The device did not accept the grant.',
    hint: 'If the grant keys of the relay were lost, approve the device again.',
  },
  grant_expired: { status: 403, wire: 70, exit: 3, text: 'The grant came too late.', hint: 'Try again.' },
  grant_replayed: { status: 403, wire: 71, exit: 3, text: 'The grant was used before.', hint: 'Open the stream again.' },
  session_broken: {
    status: 503,
    wire: 72,
    exit: 1,
    text: 'The session broke before it was complete.',
    hint: 'What it did so far cannot be known from here; look, then try again.',
  },
  session_ended: { status: 403, wire: 73, exit: 3, text: 'The session was ended by the relay.', hint: 'Ask an admin of the device.' },
  session_limit: { status: 429, wire: 74, exit: 1, text: 'Too many sessions are open on the device.', hint: 'End some first.' },
  run_as_required: {
    status: 403,
    wire: 75,
    exit: 1,
    text: 'The runtime runs as root and was not told as whom to run commands.',
    hint: 'Start it with --run-as USER, or set run_as in device.yaml (root says that it is meant).',
  },
  pty_unavailable: {
    status: 503,
    wire: 76,
    exit: 1,
    text: 'No terminal can be opened on the device.',
    hint: 'Install the optional package node-pty there.',
  },
  spawn_failed: {
    status: 500,
    wire: 77,
    exit: 1,
    text: 'The program could not be started on the device.',
    hint: 'Check the shell and home folder of the user it runs as.',
  },

  session_idle: {
    status: 403,
    wire: 78,
    exit: 1,
    text: 'The session was idle for longer than the relay allows.',
    hint: 'Open another one.',
  },
  session_too_long: {
    status: 403,
    wire: 79,
    exit: 1,
    text: 'The session has lasted as long as the relay allows.',
    hint: 'Open another one.',
  },

  // Reaching the relay
  relay_url: {
    status: 400,
    wire: 80,
    exit: 2,
    text: 'The URL of the relay is not valid.',
    hint: 'Use https://HOST[:PORT]; without TLS a credential would be readable on the way.',
  },
  relay_unreachable: {
    status: 503,
    wire: 81,
    exit: 1,
    text: 'The relay cannot be reached.',
    hint: 'Check its name, its port and the network.',
  },
  relay_untrusted: {
    status: 495,
    wire: 82,
    exit: 1,
    text: 'The certificate of the relay is not trusted.',
    hint: 'For a private CA use --ca FILE or --fingerprint sha256:HEX, as printed by the relay when it started.',
  },
  relay_not_towline: { status: 502, wire: 83, exit: 1, text: 'What answers there is not a Towline relay.', hint: 'Check the URL.' },

  // Files of this machine
  config_invalid: { status: 500, wire: 100, exit: 2, text: 'The configuration is not valid.', hint: 'Correct the faults listed.' },
  credentials_unsafe: {
    status: 500,
    wire: 101,
    exit: 1,
    text: 'A file with secrets can be read by others.',
    hint: 'Run chmod 600 on it, and renew the secrets if others may have read them.',
  },
  file_damaged: {
    status: 500,
    wire: 102,
    exit: 1,
    text: 'A file of Towline cannot be understood.',
    hint: 'Restore it from a backup, or delete it to begin anew.',
  },
  data_unwritable: {
    status: 500,
    wire: 103,
    exit: 1,
    text: 'The data folder cannot be written.',
    hint: 'Check its owner and mode, or choose another with --data.',
  },
  data_in_use: {
    status: 500,
    wire: 104,
    exit: 1,
    text: 'Another process uses this folder.',
    hint: 'Stop it first, or choose another folder.',
  },

  // Plugins and the store
  plugin_missing: {
    status: 500,
    wire: 120,
    exit: 2,
    text: 'A plugin was not found.',
    hint: 'Install its package and name it under `plugins` in the config.',
  },
  plugin_manifest: {
    status: 500,
    wire: 121,
    exit: 2,
    text: 'The package does not say which plugins it brings.',
    hint: 'Its package.json needs a "towline" entry; see the plugin guide.',
  },
  plugin_contract: {
    status: 500,
    wire: 122,
    exit: 2,
    text: 'The plugin was made for another contract level.',
    hint: 'Install the version of the plugin that fits this relay.',
  },
  plugin_duplicate: {
    status: 500,
    wire: 123,
    exit: 2,
    text: 'Two packages bring a plugin of the same kind and name.',
    hint: 'Remove one of them from `plugins`.',
  },
  plugin_kind: {
    status: 500,
    wire: 124,
    exit: 2,
    text: 'The package exports something else than its manifest says.',
    hint: 'Tell the author of the plugin.',
  },
  plugin_options: { status: 500, wire: 125, exit: 2, text: 'The options of a plugin are not valid.', hint: 'Correct the faults listed.' },
  plugin_failed: { status: 500, wire: 126, exit: 1, text: 'A plugin failed to start.', hint: 'The message of the plugin tells why.' },
  plugin_timeout: { status: 500, wire: 127, exit: 1, text: 'A plugin did not start in time.', hint: 'Check what it connects to.' },
  store_conflict: {
    status: 409,
    wire: 128,
    exit: 1,
    text: 'The record was changed in between.',
    hint: 'Read it again and repeat the change.',
  },
  store_schema: {
    status: 500,
    wire: 129,
    exit: 1,
    text: 'The database was written by a newer version.',
    hint: 'Start that version, or restore a backup.',
  },
  store_failed: { status: 503, wire: 130, exit: 1, text: 'The store failed.', hint: 'The log of the relay has the detail.' },

  // Forwards
  target_refused: {
    status: 502,
    wire: 160,
    exit: 1,
    text: 'Nothing accepts connections at the target.',
    hint: 'Check the port, and that the service runs there.',
  },
  target_unreachable: {
    status: 502,
    wire: 161,
    exit: 1,
    text: 'The target cannot be reached from the device.',
    hint: 'Check the address, and the network of the device.',
  },
  target_timeout: {
    status: 504,
    wire: 162,
    exit: 1,
    text: 'The target did not answer in time.',
    hint: 'Check the address, and what firewalls lie between the device and it.',
  },
  target_not_allowed: {
    status: 403,
    wire: 163,
    exit: 3,
    text: 'Forwards to this target are not allowed.',
    hint: 'It must be listed under `allow`, on the device and, where the relay has such a list, on the relay.',
  },
  target_not_found: {
    status: 502,
    wire: 164,
    exit: 1,
    text: 'The device does not know the name of the target.',
    hint: 'Names are looked up on the device: try it there.',
  },
  target_reset: { status: 502, wire: 165, exit: 1, text: 'The target broke the connection.', hint: 'Its own log may tell why.' },
  cannot_listen: {
    status: 500,
    wire: 166,
    exit: 1,
    text: 'This machine does not let the program listen there.',
    hint: 'Choose another local port or path.',
  },

  // Secrets at rest
  secret_key_missing: {
    status: 500,
    wire: 140,
    exit: 1,
    text: 'A record is encrypted with a key that the relay does not have.',
    hint: 'Put that key, with its id, behind the others in credentials.encryption_keys, or restore encryption.key.',
  },
  secret_key_wrong: {
    status: 500,
    wire: 141,
    exit: 1,
    text: 'A record is encrypted with another key of the same id.',
    hint: 'Give the key of that id back in credentials.encryption_keys; a new key needs a new id.',
  },
  secret_damaged: {
    status: 500,
    wire: 142,
    exit: 1,
    text: 'An encrypted record is damaged, or lies where it does not belong.',
    hint: 'Restore it from a backup, or make it anew. The key is right.',
  },

  // Files
  file_failed: {
    status: 409,
    wire: 150,
    exit: 1,
    text: 'A file could not be copied.',
    hint: 'The message names the file and the reason.',
  },
  file_missing: {
    status: 404,
    wire: 151,
    exit: 4,
    text: 'There is no such file or folder.',
    hint: 'Check the path. On the device, relative paths and ~ begin at the home folder of the user it works as.',
  },
} as const satisfies Record<string, ErrorRow>;

/** Literal code of an error. */
export type ErrorCode = keyof typeof ERRORS;

const BY_WIRE = new Map<number, ErrorCode>((Object.entries(ERRORS) as [ErrorCode, ErrorRow][]).map(([code, row]) => [row.wire, code]));

/** The code a wire number stands for; `fallback` for a number this version does not know. */
export function errorCodeOfWire(wire: number, fallback: ErrorCode): ErrorCode {
  return BY_WIRE.get(wire) ?? fallback;
}

/** Whether a text received from a peer is a code of the catalogue. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code);
}
