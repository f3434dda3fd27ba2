import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createApiKeyText, createId } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAgent } from './agent-process.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});
afterEach(() => stage[Symbol.asyncDispose]());

const readJson = async (name: string) => JSON.parse(await readFile(join(stage.dir, name), 'utf8')) as Record<string, unknown>;

describe('one runtime on a machine', () => {
  it('is told by the second, which stops, and is left alone by it', async () => {
    const { agent, device } = await stage.online();
    const second = await runAgent(stage.dir, ['run']);
    expect(second.stderr).toContain(`Process ${agent.child.pid}`);
    expect(second.code).toBe(1);
    const out = await runAgent(stage.dir, ['logout']);
    expect(out.code).toBe(1);
    const { session } = await device.openSession({ argv: ['true'], stdin: false });
    expect(await session.result).toMatchObject({ exit_code: 0 });
  });

  it('is what status tells of, and that there is none', async () => {
    const { agent, device } = await stage.online();
    const running = await runAgent(stage.dir, ['status', '--json']);
    expect(JSON.parse(running.stdout)).toMatchObject({
      running: true,
      state: 'online',
      transport: 'tls',
      pid: agent.child.pid,
      relay: stage.relay.url.origin,
      device: device.proof.device,
      last_error: null,
    });
    expect(running.code).toBe(0);
    agent.child.kill('SIGKILL');
    await agent.exited;
    const gone = await runAgent(stage.dir, ['status', '--json']);
    expect(JSON.parse(gone.stdout)).toMatchObject({ running: false, state: 'stopped' });
    expect(gone.code).not.toBe(0);
    expect(gone.stderr).toContain('No runtime is running');
    expect((await runAgent(join(stage.dir, 'empty'), ['status'])).stderr).toContain('No runtime is running');
  });
});

describe('commands on the device', () => {
  it('run with their streams apart, in an environment without the credential', async () => {
    const { device } = await stage.online();
    const script = 'cat; echo aside >&2; env; exit 3';
    const { session } = await device.openSession({ argv: ['sh', '-c', script], stdin: true });
    session.output(0).end('to the command\n');
    const [out, aside, result] = await Promise.all([text(session.input(0)), text(session.input(1)), session.result]);
    expect(out).toMatch(/^to the command\n/);
    expect(out).not.toMatch(/twl_|TOWLINE_CONFIG_DIR/);
    expect(aside).toBe('aside\n');
    expect(result).toEqual({ reason: 'exited', exit_code: 3 });
    expect(await device.endOf(session.id)).toMatchObject({ bytes_to_device: 15, end: { reason: 'exited', exit_code: 3 } });
  });

  it('are refused by root that was not told as whom, with a warning at the start', async (context) => {
    if (process.geteuid?.() !== 0) return context.skip();
    stage.relay.claimAnswer = stage.approve();
    const agent = stage.start(['run', '--json', ...stage.atRelay, '--email', 'ada@example.com']);
    await agent.event('online');
    const device = await stage.relay.device();
    expect(agent.stderr).toMatch(/warning: .*--run-as/);
    expect(await device.codeOf(device.open({ argv: ['true'], stdin: false }))).toBe('run_as_required');
  });

  it('end with the runtime, which reports them before it goes', async () => {
    const { agent, device } = await stage.online();
    const { session } = await device.openSession({ argv: ['sh', '-c', 'echo $$; exec sleep 1000'], stdin: false });
    const pid = Number(await new Promise((resolve) => session.input(0).once('data', (bytes) => resolve(String(bytes).trim()))));
    const stopped = agent.stop();
    expect((await device.endOf(session.id)).end.reason).toBe('runtime_stopped');
    expect(await stopped).toBe(0);
    expect(() => process.kill(pid, 0)).toThrow();
    expect(await device.link.closed).toMatchObject({ by: 'peer', code: 'link_closed' });
  });

  it('end with the link, and the device comes back by itself to report them', async () => {
    const { agent, device } = await stage.online();
    const { session } = await device.openSession({ argv: ['sleep', '1000'], stdin: false });
    await device.link.close('unavailable', 'The relay restarts.');
    expect(await agent.event('offline')).toMatchObject({ code: 'unavailable', message: 'The relay restarts.' });
    const next = await stage.relay.device(1);
    expect((await next.endOf(session.id)).end.reason).toBe('broken');
    await agent.event('online', 1);
  });
});

describe('a runtime whose output nobody reads any more', () => {
  it('stays online and serves', async () => {
    const { agent, device } = await stage.online();
    agent.child.stdout!.destroy();
    agent.child.stderr!.destroy();
    await device.link.close('unavailable');
    const next = await stage.relay.device(1);
    const { session } = await next.openSession({ argv: ['true'], stdin: false });
    expect(await session.result).toMatchObject({ exit_code: 0 });
  });
});

describe('the end of a runtime', () => {
  it('by SIGINT is exit code 130, also while it waits for approval', async () => {
    const agent = stage.start(stage.run('--email', 'ada@example.com'));
    await agent.event('waiting');
    expect(await agent.stop('SIGINT')).toBe(130);
    expect(await agent.event('stopped').catch(() => agent.events.at(-1))).toMatchObject({ event: 'stopped', code: 'cancelled' });
  });

  it('by SIGTERM is a success, also while the relay is away', async () => {
    const { agent } = await stage.online();
    stage.relay.linkError = { code: 'unavailable' };
    await (await stage.relay.device()).link.close('unavailable');
    await agent.event('offline', 1);
    expect(await agent.stop()).toBe(0);
  });

  it.each(['device_removed', 'key_revoked'] as const)('comes by %s, with the reason, and the credential is deleted', async (code) => {
    const { agent, device } = await stage.online();
    device.control.send({ type: 'goodbye', code, message: 'Ada said so.', hint: '' });
    await device.link.close(code, 'Ada said so.');
    expect(await agent.event('stopped')).toMatchObject({ code, message: 'Ada said so.' });
    expect(await agent.exited).toBe(3);
    expect(JSON.stringify(await readJson('credentials.json'))).not.toContain('twl_d_');
    const again = stage.start(stage.run('--email', 'ada@example.com'));
    await again.event('online');
    expect(stage.relay.registrations).toHaveLength(2);
  });

  it('comes when the relay refuses the next link, too', async () => {
    const { agent } = await stage.online();
    stage.relay.linkError = { code: 'key_revoked' };
    await (await stage.relay.device()).link.close('unavailable');
    expect(await agent.exited).toBe(3);
    expect(JSON.stringify(await readJson('credentials.json'))).not.toContain('twl_d_');
  });

  it('comes when another runtime with the same identity took over, and nothing is deleted', async () => {
    const { agent, device } = await stage.online();
    await device.link.close('device_replaced', 'Another runtime with the identity of this device connected from 192.0.2.7.');
    expect(await agent.event('stopped')).toMatchObject({ code: 'device_replaced' });
    expect(await agent.exited).toBe(1);
    expect(agent.stderr).toMatch(/192\.0\.2\.7[\s\S]*one image/);
    expect(JSON.stringify(await readJson('credentials.json'))).toContain('twl_d_');
  });

  it('does not come when the relay changes its id: it is not trusted, and asked again', async () => {
    const { agent } = await stage.online();
    stage.relay.linkOptions = { relay: createId() as string };
    await (await stage.relay.device()).link.close('unavailable');
    expect(await agent.event('offline', 1)).toMatchObject({ code: 'relay_untrusted' });
    stage.relay.linkOptions = {};
    await agent.event('online', 1);
  });
});

describe('a renewed key', () => {
  it('is stored and used from the next link on', async () => {
    const { agent, device } = await stage.online();
    const key = createApiKeyText('device');
    device.control.send({ type: 'rotate', api_key: key.text });
    await device.until(() => device.messages.some((message) => message.type === 'rotated'));
    expect(await readJson('credentials.json')).toMatchObject({ device_credentials: { api_key: key.text } });
    await device.link.close('unavailable');
    await agent.event('online', 1);
    expect(stage.relay.linkKeys.at(-1)).toBe(key.text);
    expect(agent.stdout + agent.stderr).not.toContain(key.secret);
  });

  it('goes before the one of the environment that it was renewed from, and not before any other', async () => {
    const [old, renewed, other] = [createApiKeyText('device'), createApiKeyText('device'), createApiKeyText('device')];
    const agent = stage.start(stage.run(), { TOWLINE_API_KEY: old.text });
    await agent.event('online');
    const device = await stage.relay.device();
    device.control.send({ type: 'rotate', api_key: renewed.text });
    await device.until(() => device.messages.some((message) => message.type === 'rotated'));
    await agent.stop();
    for (const given of [old, other]) {
      const next = stage.start(stage.run(), { TOWLINE_API_KEY: given.text });
      await next.event('online');
      await next.stop();
    }
    expect(stage.relay.linkKeys).toEqual([old.text, renewed.text, other.text]);
  });
});
