import { defineMessage, textSchema } from '@towline/protocol';
import { z } from 'zod';

/** Largest message on the first stream after its head, bytes. */
export const MAX_LINK_MESSAGE = 8_192;
/** Largest head of the first stream: a credential and two names. */
const MAX_REQUEST = 32_768;

/** The head of a connection's first stream: what the head of an HTTP request for an upgrade says. */
export const linkRequest = defineMessage(
  'request for a link',
  z.strictObject({
    role: z.enum(['device', 'client']),
    credential: z.strictObject({ header: z.enum(['X-API-Key', 'Authorization']), value: textSchema(16_384) }),
  }),
  MAX_REQUEST,
);
/** See {@link linkRequest}. */
export type LinkRequestHead = ReturnType<typeof linkRequest.decode>;

/** The first message back: whether there is a link. */
export const linkAnswer = defineMessage(
  'answer to a request for a link',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('accepted') }),
    z.object({
      type: z.literal('refused'),
      code: textSchema(64),
      message: textSchema(1_000),
      hint: textSchema(1_000),
      retry_after_ms: z.number().min(0).max(300_000).optional(),
    }),
  ]),
  MAX_LINK_MESSAGE,
);

/** Messages on the first stream of a link, both ways. */
export const linkMessage = defineMessage(
  'link message',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('ping'), id: z.int().min(0) }),
    z.object({ type: z.literal('pong'), id: z.int().min(0) }),
    /** The sender has reset a stream: quiche 0.18 repeats that only while it remembers the stream. `code` is a number of the link protocol. */
    z.object({ type: z.literal('reset'), stream: z.int().min(0), code: z.int().min(0) }),
    /** The sender is about to end the link. `sent`: bytes it has sent on all other streams, so that the peer knows when it has them all. */
    z.object({ type: z.literal('close'), code: textSchema(64), message: textSchema(1_024), sent: z.int().min(0) }),
  ]),
  MAX_LINK_MESSAGE,
);
/** See {@link linkMessage}. */
export type LinkMessage = ReturnType<typeof linkMessage.decode>;
