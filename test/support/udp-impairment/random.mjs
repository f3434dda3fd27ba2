/** What a random number is drawn for. Each purpose has numbers of its own, so that switching one impairment on leaves the others as they were. */
export const PURPOSE = Object.freeze({
  burstMove: 1,
  burstLoss: 2,
  loss: 3,
  jitter: 4,
  reorder: 5,
  duplicate: 6,
  corrupt: 7,
  corruptPlace: 8,
  corruptBits: 9,
});

/**
 * Random numbers that are a function of (seed, direction, flow, ordinal, purpose) and of nothing else: no state, no clock.
 * The function returned gives a number in [0, 1).
 */
export function createDraws(seed, direction, flow) {
  let key = mix(seed | 0);
  key = mix(key ^ Math.floor(seed / 2 ** 32));
  key = mix(key ^ (direction === 'up' ? 0x0b5e55ed : 0x5ca1ab1e));
  key = mix(key ^ flow);
  return (ordinal, purpose) => (mix(mix(key ^ Math.imul(ordinal, 0x9e3779b1)) ^ Math.imul(purpose, 0x85ebca77)) >>> 0) / 2 ** 32;
}

/** The finalizer of MurmurHash3 for 32 bits: every bit of the input changes each bit of the output with probability one half. */
export function mix(value) {
  let bits = value + 0x6d2b79f5;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
