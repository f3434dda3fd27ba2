import { createBottleneck } from './bottleneck.mjs';
import { createDecider } from './decisions.mjs';
import { createDelayLine } from './delay-line.mjs';
import { readNumber, readProfile } from './profile.mjs';
import { createDraws } from './random.mjs';
import { createRecord, createRecordBudget } from './record.mjs';

const DIRECTIONS = Object.freeze(['up', 'down']);
/** 0.6 s of 1 Gbit/s. */
const MAX_IN_FLIGHT_BYTES = 64 * 2 ** 20;
const RECORD_LIMIT = 20_000;
/** A small packet costs more memory than it has bytes. */
const ENTRY_BYTES = 200;

/**
 * A path with both its directions, without sockets and without a clock: the caller says what time it is and takes what
 * is due. One bottleneck for each direction, shared by all flows; each flow with its own sequence of decisions.
 */
export function createPath({
  seed,
  up = {},
  down = {},
  flows = 'alike',
  recordLimit = RECORD_LIMIT,
  maxInFlightBytes = MAX_IN_FLIGHT_BYTES,
}) {
  if (!Number.isSafeInteger(seed)) throw new TypeError(`seed must be a whole number, not ${String(seed)}`);
  if (flows !== 'alike' && flows !== 'different') throw new TypeError(`flows must be 'alike' or 'different', not ${String(flows)}`);
  readNumber(recordLimit, { where: 'recordLimit', most: 1_000_000 });
  readNumber(maxInFlightBytes, { where: 'maxInFlightBytes', most: 2 ** 30 });
  const ways = { up: createWay(readProfile(up, 'up')), down: createWay(readProfile(down, 'down')) };
  const line = createDelayLine();
  const budget = createRecordBudget(recordLimit);
  const open = new Set();
  let flowsOpened = 0;
  let inFlightBytes = 0;

  const launch = (way, dueMs, item) => {
    if (inFlightBytes + item.packet.length + ENTRY_BYTES > maxInFlightBytes) {
      way.counts.overflowed += 1;
      return;
    }
    inFlightBytes += item.packet.length + ENTRY_BYTES;
    way.inFlight += 1;
    line.add(dueMs, item);
  };
  return {
    /** Begins a flow; `end` forgets its decisions. */
    openFlow() {
      const number = (flowsOpened += 1);
      const records = DIRECTIONS.map((direction) => createRecord({ flow: number, direction, budget }));
      const [decideUp, decideDown] = DIRECTIONS.map((direction, index) =>
        createDecider({
          draw: createDraws(seed, direction, flows === 'alike' ? 0 : number),
          readCurrentProfile: () => ways[direction].profile,
          record: records[index],
        }),
      );
      open.add(records);
      return {
        number,
        deciders: { up: decideUp, down: decideDown },
        end() {
          if (open.delete(records)) for (const record of records) record.forget();
        },
      };
    },
    /** Sends a packet, which it keeps and may change, into one direction. `carry` comes back with the packet when it is due. */
    send(nowMs, direction, { flow, packet, carry }) {
      const way = ways[direction];
      way.counts.packets += 1;
      way.counts.bytes += packet.length;
      const decision = flow.deciders[direction]();
      if (way.blackHole) way.counts.blackHoled += 1;
      else passWay(way, { nowMs, packet, decision, launch: (dueMs, bytes) => launch(way, dueMs, { direction, packet: bytes, carry }) });
    },
    nextDueMs: line.nextDueMs,
    /** Takes a packet that is due by then, with `dueMs`; undefined when there is none. */
    takeDue(nowMs) {
      const nextMs = line.nextDueMs();
      if (nextMs === null || nextMs > nowMs) return undefined;
      const { dueMs, item } = line.take();
      const way = ways[item.direction];
      inFlightBytes -= item.packet.length + ENTRY_BYTES;
      way.inFlight -= 1;
      way.counts.delivered += 1;
      way.counts.deliveredBytes += item.packet.length;
      return { ...item, dueMs };
    },
    change(direction, profile) {
      readDirection(direction);
      ways[direction].profile = readProfile(profile, direction);
    },
    blackHole(on, direction) {
      for (const name of direction === undefined ? DIRECTIONS : [readDirection(direction)]) ways[name].blackHole = on;
    },
    statistics: () => ({
      up: { ...ways.up.counts, inFlight: ways.up.inFlight },
      down: { ...ways.down.counts, inFlight: ways.down.inFlight },
    }),
    decisions: () => [...open].flatMap((records) => records.map((record) => record.read())),
  };
}

function createWay(profile) {
  return {
    profile,
    blackHole: false,
    inFlight: 0,
    /** Packets that keep their order arrive no sooner than this. */
    lastDueMs: Number.NEGATIVE_INFINITY,
    bottleneck: createBottleneck(),
    counts: {
      packets: 0,
      bytes: 0,
      delivered: 0,
      deliveredBytes: 0,
      lost: 0,
      lostInBursts: 0,
      queueDropped: 0,
      blackHoled: 0,
      overflowed: 0,
      duplicated: 0,
      heldBack: 0,
      corrupted: 0,
    },
  };
}

/** First the bottleneck, then the wire behind it: what is lost there has taken its share of the bottleneck. */
function passWay(way, { nowMs, packet, decision, launch }) {
  const { profile, counts } = way;
  const passedMs = profile.rate === null ? nowMs : way.bottleneck(nowMs, packet.length, profile.rate);
  if (passedMs === null) counts.queueDropped += 1;
  else if (decision.fate === 'lost') counts.lost += 1;
  else if (decision.fate === 'lost in a burst') counts.lostInBursts += 1;
  else {
    if (decision.corruption !== null && packet.length > 0) {
      packet[Math.floor(decision.corruption.place * packet.length)] ^= decision.corruption.bits;
      counts.corrupted += 1;
    }
    const dueMs = Math.max(passedMs + profile.delayMs + decision.jitterMs, way.lastDueMs);
    if (decision.holdMs > 0) counts.heldBack += 1;
    else way.lastDueMs = dueMs;
    launch(dueMs + decision.holdMs, packet);
    if (decision.copies === 1) return;
    counts.duplicated += 1;
    // Bytes of its own: who gets the first may decrypt them in place.
    launch(dueMs + decision.holdMs, Buffer.from(packet));
  }
}

function readDirection(direction) {
  if (DIRECTIONS.includes(direction)) return direction;
  throw new TypeError(`a direction is 'up' or 'down', not ${String(direction)}`);
}
