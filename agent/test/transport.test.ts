import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAgent } from './agent-process.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});
afterEach(() => stage[Symbol.asyncDispose]());

const ALONE = 'The runtime was told to use this transport alone.';

describe('--transport', () => {
  it('fixes the transport, which the event, the status and the relay show', async () => {
    const { agent, device } = await stage.online('--transport', 'websocket');
    expect(agent.events.at(-1)).toMatchObject({ event: 'online', transport: 'websocket', note: ALONE });
    await agent.until(() => agent.stderr.includes(`over websocket. ${ALONE}`));
    expect(device.proof.transport_note).toBe(ALONE);
    const { stdout } = await runAgent(stage.dir, ['status', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ transport: 'websocket', note: ALONE });
    expect((await runAgent(stage.dir, ['status'])).stdout).toMatch(/^transport +websocket\nnote +The runtime was told/m);
    await agent.stop();
    expect(JSON.parse((await runAgent(stage.dir, ['status', '--json'])).stdout)).toMatchObject({ transport: null, note: null });
  });

  it('of the enrolment is kept for later runs, until one says otherwise or the device logs out', async () => {
    stage.relay.claimAnswer = stage.approve();
    const login = ['login', ...stage.atRelay, '--email', 'ada@example.com', '--transport', 'websocket'];
    expect((await runAgent(stage.dir, login)).code).toBe(0);
    for (const [words, transport] of [
      [[], 'websocket'],
      [['--transport', 'tls'], 'tls'],
      [[], 'websocket'],
    ] as const) {
      const agent = stage.start(stage.run(...words));
      expect(await agent.event('online')).toMatchObject({ transport });
      await agent.stop();
    }
    await runAgent(stage.dir, ['logout']);
    const { agent } = await stage.online();
    expect(await agent.event('online')).toMatchObject({ transport: 'tls' });
  });

  it('that cannot be had is told, and no other is used in its place', async () => {
    stage.relay.refusedUpgrades.add('websocket');
    stage.relay.claimAnswer = stage.approve();
    const agent = stage.start(stage.run('--email', 'ada@example.com', '--transport', 'websocket'));
    expect(await agent.event('offline')).toMatchObject({ code: 'relay_not_towline', message: expect.stringContaining('403') });
    expect(stage.relay.transports).toEqual([]);
  });

  it('that is none is wrong use, of login too', async () => {
    for (const command of ['run', 'login']) {
      const { code, stderr } = await runAgent(stage.dir, [command, ...stage.atRelay, '--transport', 'carrier-pigeon']);
      expect(stderr).toMatch(/--transport does not know “carrier-pigeon”[\s\S]*auto, quic, tls, websocket/);
      expect(code).toBe(2);
    }
  });
});
