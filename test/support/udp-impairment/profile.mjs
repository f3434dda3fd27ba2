const NUMBERS = ['loss', 'delayMs', 'jitterMs', 'duplicate', 'corrupt'];
const PROBABILITIES = ['loss', 'duplicate', 'corrupt'];
/** Bytes of an IPv4 and a UDP header, which take their share of a path as well. */
const HEADER_BYTES = 28;
/** The queue of a bottleneck when nothing is said: 100 ms at 10 Mbit/s, usual for the routers of homes. */
const QUEUE_BYTES = 128_000;
/** What may pass at once after silence: two full packets. */
const BURST_BYTES = 3_000;

/** Checks what one direction does to packets and fills in what was left out. Throws a `TypeError` or `RangeError` that names the fault. */
export function readProfile(profile, where) {
  only(profile, [...NUMBERS, 'burst', 'reorder', 'rate'], where);
  const { burst, reorder, rate } = profile;
  const numbers = Object.fromEntries(
    NUMBERS.map((name) => [
      name,
      readNumber(profile[name] ?? 0, { where: `${where}.${name}`, most: PROBABILITIES.includes(name) ? 1 : 60_000 }),
    ]),
  );
  return Object.freeze({
    ...numbers,
    burst: burst === undefined ? null : readBurst(burst, `${where}.burst`),
    reorder: reorder === undefined ? null : readReorder(reorder, `${where}.reorder`),
    rate: rate === undefined ? null : readRate(rate, `${where}.rate`),
  });
}

function readBurst(burst, where) {
  only(burst, ['enter', 'leave', 'loss'], where);
  const { enter, leave, loss = 1 } = burst;
  return {
    enter: readNumber(enter, { where: `${where}.enter`, most: 1 }),
    leave: readNumber(leave, { where: `${where}.leave`, most: 1 }),
    loss: readNumber(loss, { where: `${where}.loss`, most: 1 }),
  };
}

function readReorder(reorder, where) {
  only(reorder, ['probability', 'holdMs'], where);
  return {
    probability: readNumber(reorder.probability, { where: `${where}.probability`, most: 1 }),
    holdMs: readNumber(reorder.holdMs, { where: `${where}.holdMs`, most: 60_000 }),
  };
}

function readRate(rate, where) {
  only(rate, ['bitsPerSecond', 'queueBytes', 'burstBytes', 'overheadBytes'], where);
  const { bitsPerSecond, queueBytes = QUEUE_BYTES, burstBytes = BURST_BYTES, overheadBytes = HEADER_BYTES } = rate;
  return {
    bytesPerMs: readNumber(bitsPerSecond, { where: `${where}.bitsPerSecond`, least: 1, most: 1e12 }) / 8_000,
    queueBytes: readNumber(queueBytes, { where: `${where}.queueBytes`, most: 2 ** 30 }),
    burstBytes: readNumber(burstBytes, { where: `${where}.burstBytes`, most: 2 ** 30 }),
    overheadBytes: readNumber(overheadBytes, { where: `${where}.overheadBytes`, most: 1_000 }),
  };
}

/** A number within bounds, or a `RangeError`. */
export function readNumber(value, { where, least = 0, most }) {
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new RangeError(`${where} must be a number from ${least} to ${most}, not ${String(value)}`);
}

function only(value, names, where) {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where} must be an object`);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new TypeError(`${where}.${unknown} is not known; there are: ${names.join(', ')}`);
}
