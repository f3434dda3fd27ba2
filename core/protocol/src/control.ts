import { z } from 'zod';
import { encodeJson } from './json.ts';
import { MAX_CONTROL_MESSAGE } from './limits.ts';
import { defineMessage, idSchema, protocolNameSchema, textSchema } from './schema.ts';

/** Name of the first stream of every link. */
export const CONTROL_PROTOCOL = '/control/1';
/** Level of the control protocol. A peer of a higher level speaks the lower one. */
export const PROTOCOL_LEVEL = 1;
/** Feature of a device that puts the secrets of an open message into the environment of the program. */
export const SECRETS_FEATURE = 'secrets';

const base64url = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[A-Za-z0-9_-]*$/, 'expected base64url');
const milliseconds = z.number().min(0);
const bytes = z.int().min(0);

const echo = z.object({ type: z.literal('echo'), id: z.int().min(0) });
const echoReply = z.object({ type: z.literal('echo_reply'), id: z.int().min(0) });
/** Says why the link is about to be closed. */
const goodbye = z.object({ type: z.literal('goodbye'), code: textSchema(64), message: textSchema(1_000), hint: textSchema(1_000) });

/** A public key that grants are signed with, and the signature of an older one that vouches for it. */
export const grantKeySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** Raw Ed25519 public key, base64url. */
  key: base64url(64),
  /** Id of the older key that signed this one; absent on the first. */
  signed_by: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  signature: base64url(128).optional(),
});
/** See {@link grantKeySchema}. */
export type GrantKeyRecord = z.infer<typeof grantKeySchema>;

/** How a session ended, as the device saw it. `reason` is a literal code. */
export const sessionEndSchema = z.object({
  reason: z.enum(['exited', 'signalled', 'failed', 'broken', 'ended', 'runtime_stopped', 'limit']),
  exit_code: z.int().min(0).max(255).optional(),
  signal: textSchema(16).optional(),
  /** Literal code of the error that ended it, where one did. */
  code: textSchema(64).optional(),
  message: textSchema(1_000).optional(),
});
/** See {@link sessionEndSchema}. */
export type SessionEnd = z.infer<typeof sessionEndSchema>;

/** Largest detail of a note in the journal, bytes of JSON: a path and some figures. A full batch of such notes fits a control message. */
export const MAX_NOTE_DETAIL = 2_000;
/** What a note says: names of the stream plugin's own, with texts and figures. */
export const noteDetailSchema = z
  .record(z.string().max(64), z.union([textSchema(MAX_NOTE_DETAIL), z.number(), z.boolean()]))
  .refine((detail) => encodeJson(detail).length <= MAX_NOTE_DETAIL, 'too long for a note');
/** See {@link noteDetailSchema}. */
export type NoteDetail = Readonly<z.infer<typeof noteDetailSchema>>;

/** One numbered entry of the journal by which a device reports what its sessions did. */
export const journalEntrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), number: z.int().min(1), session: idSchema, protocol: protocolNameSchema, age_ms: milliseconds }),
  /** Something that a session did, between its start and its end. */
  z.object({
    type: z.literal('note'),
    number: z.int().min(1),
    session: idSchema,
    age_ms: milliseconds,
    outcome: z.enum(['ok', 'failed']),
    detail: noteDetailSchema,
  }),
  z.object({
    type: z.literal('end'),
    number: z.int().min(1),
    session: idSchema,
    age_ms: milliseconds,
    /** Bytes of content, not of framing. */
    bytes_to_device: bytes,
    bytes_from_device: bytes,
    end: sessionEndSchema,
  }),
]);
/** See {@link journalEntrySchema}. */
export type JournalEntry = z.infer<typeof journalEntrySchema>;

/** Messages from the relay to a device. */
export const relayToDevice = defineMessage(
  'control message',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('challenge'), level: z.int().min(1), relay: idSchema, nonce: base64url(64) }),
    z.object({
      type: z.literal('welcome'),
      /** Level both sides speak from here on. */
      level: z.int().min(1),
      device: idSchema,
      name: textSchema(255),
      /** Unix time of the relay, milliseconds: grants expire by it. */
      time_ms: milliseconds,
      grant_keys: z.array(grantKeySchema).max(16),
      /** Journal entries up to this number are stored at the relay. */
      journal_received: z.int().min(0),
    }),
    z.object({ type: z.literal('journal_ack'), received: z.int().min(0) }),
    /** The relay's time again: clocks of two machines drift apart by a minute in some weeks. */
    z.object({ type: z.literal('time'), time_ms: milliseconds }),
    z.object({ type: z.literal('grant_keys'), grant_keys: z.array(grantKeySchema).max(16) }),
    z.object({ type: z.literal('rotate'), api_key: textSchema(256) }),
    z.object({ type: z.literal('end_session'), session: idSchema, code: textSchema(64), message: textSchema(1_000) }),
    echo,
    echoReply,
    goodbye,
  ]),
  MAX_CONTROL_MESSAGE,
);
/** See {@link relayToDevice}. */
export type RelayToDevice = ReturnType<typeof relayToDevice.decode>;

/** Messages from a device to the relay. */
export const deviceToRelay = defineMessage(
  'control message',
  z.discriminatedUnion('type', [
    z.object({
      type: z.literal('proof'),
      level: z.int().min(1),
      device: idSchema,
      /** Ed25519 signature over proofText(), base64url. */
      signature: base64url(128),
      /** Random per start of the runtime: tells two runtimes with one identity apart. */
      instance: idSchema,
      hostname: textSchema(255),
      version: textSchema(64),
      /** Protocols the device serves. */
      serves: z.array(protocolNameSchema).max(64),
      /** What it can do that earlier versions could not: {@link SECRETS_FEATURE}. Others are of a later version. */
      features: z.array(textSchema(64)).max(64).optional(),
      /** Ids of the sessions that live on the device. */
      sessions: z.array(idSchema).max(5_000),
      /** The device holds an older link too, and this one takes its place as the sessions of that one end. */
      beside: z.boolean().optional(),
      /** Why the device came by this transport and not a better one, for people. */
      transport_note: textSchema(300).optional(),
    }),
    z.object({ type: z.literal('journal'), entries: z.array(journalEntrySchema).max(500) }),
    z.object({ type: z.literal('rotated'), key_id: z.string().regex(/^[0-9a-f]{16}$/) }),
    echo,
    echoReply,
    goodbye,
  ]),
  MAX_CONTROL_MESSAGE,
);
/** See {@link deviceToRelay}. */
export type DeviceToRelay = ReturnType<typeof deviceToRelay.decode>;

/** Messages from the relay to a client. */
export const relayToClient = defineMessage(
  'control message',
  z.discriminatedUnion('type', [
    z.object({
      type: z.literal('welcome'),
      level: z.int().min(1),
      time_ms: milliseconds,
      principal: textSchema(320),
      /** Unix time at which the credential of the link ends; absent: it does not by itself. */
      expires_at_ms: milliseconds.optional(),
    }),
    /** Answer to `credential`. A refused one leaves the link as it was. */
    z.object({
      type: z.literal('credential_result'),
      id: z.int().min(0),
      /** Code of the refusal; absent: the link lives by the new credential. */
      code: textSchema(64).optional(),
      message: textSchema(1_000).optional(),
      expires_at_ms: milliseconds.optional(),
    }),
    echo,
    echoReply,
    goodbye,
  ]),
  MAX_CONTROL_MESSAGE,
);
/** See {@link relayToClient}. */
export type RelayToClient = ReturnType<typeof relayToClient.decode>;

/** Messages from a client to the relay. */
export const clientToRelay = defineMessage(
  'control message',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('hello'), level: z.int().min(1), version: textSchema(64) }),
    /** A renewed credential of the same principal, as it would stand in the header of a request: a refresh breaks no session. */
    z.object({
      type: z.literal('credential'),
      id: z.int().min(0),
      header: z.enum(['Authorization', 'X-API-Key']),
      value: textSchema(16_384),
    }),
    echo,
    echoReply,
    goodbye,
  ]),
  MAX_CONTROL_MESSAGE,
);
/** See {@link clientToRelay}. */
export type ClientToRelay = ReturnType<typeof clientToRelay.decode>;
