import { createHmac, timingSafeEqual } from 'node:crypto';
import type { HostPort } from '../binding/quiche.ts';

/** A token is good for so long, milliseconds: a round trip and some losses. */
const LIFE_MS = 10_000;
const TIME_BYTES = 6;
const MAC_BYTES = 16;

/** What a token of ours proves: that whoever brings it received our Retry at this address. */
export interface RetryFacts {
  readonly from: HostPort;
  /** Id of ours that the Retry told the client to go on with. */
  readonly retryId: Uint8Array;
  /** Unix time, milliseconds. */
  readonly nowMs: number;
}

/** Makes the token of a Retry packet (RFC 9000 section 8.1.2). `firstId` is the id the client's first packet was sent to. */
export function makeRetryToken(key: Buffer, firstId: Uint8Array, facts: RetryFacts): Buffer {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeUIntBE(facts.nowMs, 0, TIME_BYTES);
  return Buffer.concat([time, mac(key, time, firstId, facts), firstId]);
}

/** The id the client's first packet was sent to, or null when the token is not ours, too old, or another's. */
export function readRetryToken(key: Buffer, token: Uint8Array, facts: RetryFacts): Buffer | null {
  const bytes = Buffer.from(token);
  if (bytes.length <= TIME_BYTES + MAC_BYTES) return null;
  const [time, given, firstId] = [
    bytes.subarray(0, TIME_BYTES),
    bytes.subarray(TIME_BYTES, TIME_BYTES + MAC_BYTES),
    bytes.subarray(TIME_BYTES + MAC_BYTES),
  ];
  if (!timingSafeEqual(given, mac(key, time, firstId, facts))) return null;
  const ageMs = facts.nowMs - time.readUIntBE(0, TIME_BYTES);
  return ageMs >= 0 && ageMs <= LIFE_MS ? firstId : null;
}

function mac(key: Buffer, time: Uint8Array, firstId: Uint8Array, { from, retryId }: RetryFacts): Buffer {
  const hash = createHmac('sha256', key).update('retry').update(time).update(Buffer.of(firstId.length)).update(firstId);
  return hash.update(retryId).update(`${from.host} ${from.port}`).digest().subarray(0, MAC_BYTES);
}
