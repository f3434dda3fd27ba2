import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { defineMessage, frameMessage, TowlineError } from '@towline/protocol';
import { z } from 'zod';

/** Largest preface, bytes: a secret and an address. */
export const MAX_PREFACE_BYTES = 1_024;

const preface = z.strictObject({
  secret: z.string().min(1).max(256),
  /** IP address the QUIC connection comes from. */
  address: z.string().refine((address) => isIP(address) !== 0, 'expected an IP address'),
});
const PREFACE = defineMessage('preface', preface, MAX_PREFACE_BYTES);

/** What goes ahead of the request on a connection through the private socket. */
export type Preface = z.infer<typeof preface>;

/** Encodes a preface, with its length in front. */
export function encodePreface(given: Preface): Buffer {
  return frameMessage(PREFACE.encode(given));
}

/** The address a preface names. @throws TowlineError `protocol_error` for what is no preface, `unauthenticated` for another secret. */
export function openPreface(message: Uint8Array, secret: string): string {
  const given = PREFACE.decode(message);
  // Of digests, so that neither content nor length of the secret shows in the time it takes.
  if (!timingSafeEqual(digest(given.secret), digest(secret))) throw new TowlineError('unauthenticated', 'The preface has another secret.');
  return given.address;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
