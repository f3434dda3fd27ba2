import { MongoClient } from 'mongodb';
import { expect, it, onTestFinished } from 'vitest';
import { openFaultyWay } from '../../../test/support/faulty-way.ts';
import { startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { SILENCE_MS } from '../src/limits.ts';
import { followLiveness } from '../src/liveness.ts';

const TEST_MS = 600_000;
const missing =
  (await whyNoMongodb()) ?? (process.env.TOWLINE_TEST_MONGODB_URI ? 'the way to the server that was given is not ours to break' : null);

it.skipIf(missing)(
  'when nothing came back for a while all connections are made anew; not before, and not where an answer came in between',
  async () => {
    const server = await startMongodb();
    onTestFinished(() => server.stop());
    const way = await openFaultyWay(server.port!);
    onTestFinished(() => way[Symbol.asyncDispose]());
    const client = new MongoClient(`mongodb://127.0.0.1:${way.port}/`, { serverSelectionTimeoutMS: 1_000 });
    onTestFinished(() => client.close());
    let [now, closed, opened] = [0, 0, 0];
    client.on('topologyClosed', () => (closed += 1)).on('topologyOpening', () => (opened += 1));
    await client.connect();
    const liveness = followLiveness(client, () => now);
    onTestFinished(() => liveness[Symbol.asyncDispose]());
    liveness.missed();
    now += SILENCE_MS - 1;
    liveness.missed();
    liveness.answered();
    now += SILENCE_MS - 1;
    liveness.missed();
    expect([closed, opened]).toEqual([0, 1]);
    way.stall();
    now += SILENCE_MS;
    liveness.missed();
    liveness.missed();
    await expect.poll(() => [closed > 0, opened > 1], { timeout: 60_000 }).toEqual([true, true]);
    way.restore();
    await expect
      .poll(
        () =>
          client
            .db('any')
            .command({ ping: 1 })
            .catch(() => null),
        { timeout: 60_000 },
      )
      .toMatchObject({ ok: 1 });
  },
  TEST_MS,
);
