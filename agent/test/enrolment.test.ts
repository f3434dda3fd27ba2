import { readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  claimText,
  createApiKeyText,
  createId,
  type DeviceId,
  fingerprintOf,
  parsePublicKey,
  registrationText,
  verifyText,
} from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAgent } from './agent-process.ts';
import { asMe, Stage } from './stage.ts';
import { type Answer, TestRelay } from './test-relay.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});
afterEach(() => stage[Symbol.asyncDispose]());

const readJson = async (name: string) => JSON.parse(await readFile(join(stage.dir, name), 'utf8')) as Record<string, unknown>;

describe('enrolment', () => {
  it('shows request, fingerprint and the command of the admin, waits, and stores the credential for its owner alone', async () => {
    const agent = stage.start(stage.run('--email', 'Ada@Example.com', '--name', 'greenhouse'));
    const waiting = await agent.event('waiting');
    const { request, id } = stage.relay.registrations[0]!;
    expect(waiting).toMatchObject({ request: id, fingerprint: fingerprintOf(request.public_key), owner: 'user:ada@example.com' });
    await agent.until(() => agent.stderr.includes('devices approve'));
    expect(agent.stderr).toContain(`towline devices approve ${id}`);
    expect(agent.stderr).toContain(fingerprintOf(request.public_key));
    expect(request).toMatchObject({ name: 'greenhouse', facts: { hostname: hostname(), platform: process.platform, arch: process.arch } });
    const signed = registrationText({
      deviceId: request.device_id as DeviceId,
      publicKey: request.public_key,
      owner: 'user:ada@example.com',
      name: 'greenhouse',
    });
    expect(verifyText(signed, request.signature, parsePublicKey(request.public_key)!)).toBe(true);

    const key = createApiKeyText('device');
    stage.relay.claimAnswer = stage.approve(key.text);
    expect(await agent.event('enrolled')).toMatchObject({ device: request.device_id, name: 'greenhouse' });
    expect(await agent.event('online')).toMatchObject({ relay: stage.relay.url.origin, transport: 'tls' });
    const claim = claimText({ relay: stage.relay.id, registration: id, deviceId: request.device_id as DeviceId });
    expect(verifyText(claim, stage.relay.claims[0]!.signature, parsePublicKey(request.public_key)!)).toBe(true);
    expect(stage.relay.linkKeys).toEqual([key.text]);
    expect(await readJson('credentials.json')).toMatchObject({ device_credentials: { api_key: key.text } });
    for (const file of ['credentials.json', 'device.json']) expect((await stat(join(stage.dir, file))).mode & 0o777).toBe(0o600);
    expect(agent.stdout + agent.stderr).not.toContain(key.secret);
    expect(await agent.stop()).toBe(0);
  });

  it('needs no flags the next time, and keeps its identity', async () => {
    const { agent, device } = await stage.online();
    await agent.stop();
    const again = stage.start(['run', '--json', ...asMe]);
    await again.event('online');
    expect((await stage.relay.device(1)).proof.device).toBe(device.proof.device);
    expect((await stage.relay.device(1)).proof.instance).not.toBe(device.proof.instance);
    expect(stage.relay.registrations).toHaveLength(1);
  });

  it('makes a new request when the old one expires', async () => {
    stage.relay.claimAnswer = ({ id }) =>
      stage.relay.registrations[0]?.id === id ? { error: 'registration_expired' } : stage.approve()(stage.relay.registrations[1]!);
    const agent = stage.start(stage.run('--org', 'acme'));
    await agent.event('online');
    expect(stage.relay.registrations.map((one) => one.request.owner)).toEqual(['org:acme', 'org:acme']);
    expect(agent.events.filter((one) => one.event === 'waiting')).toHaveLength(2);
  });

  it('stops when it is rejected, and says by whom', async () => {
    stage.relay.claimAnswer = () => ({
      error: 'registration_rejected',
      message: 'The request to enrol was rejected: wrong \u001b[31mbuilding',
    });
    const { code, stdout, stderr } = await runAgent(stage.dir, stage.run('--email', 'ada@example.com'));
    expect(code).toBe(3);
    expect(stdout).toContain('"code":"registration_rejected"');
    expect(stderr).toContain('wrong \\u{1b}[31mbuilding');
    expect(stderr).not.toContain('\u001b');
  });

  it('with an enrolment key waits for nobody, and keeps the key it got instead', async () => {
    const enrolment = createApiKeyText('enrolment');
    const key = createApiKeyText('device');
    stage.relay.registrationState = 'approved';
    stage.relay.claimAnswer = stage.approve(key.text);
    const agent = stage.start(stage.run(), { TOWLINE_API_KEY: enrolment.text, OWNER_REFERENCE: 'org:acme' });
    await agent.event('online');
    expect(stage.relay.registrations[0]).toMatchObject({ apiKey: enrolment.text, request: { owner: 'org:acme' } });
    expect(agent.events.some((one) => one.event === 'waiting')).toBe(false);
    await agent.stop();
    const again = stage.start(stage.run(), { TOWLINE_API_KEY: enrolment.text });
    await again.event('online');
    expect(stage.relay.registrations).toHaveLength(1);
    expect(stage.relay.linkKeys).toEqual([key.text, key.text]);
  });

  it('is not needed with the key of a device, which is bound to the relay it meets first', async () => {
    const key = createApiKeyText('device');
    const agent = stage.start(stage.run(), { M87_API_KEY: key.text });
    await agent.event('online');
    expect(stage.relay.linkKeys).toEqual([key.text]);
    expect(await readJson('device.json')).toMatchObject({ relay: { id: stage.relay.id, url: stage.relay.url.origin } });
    await expect(stat(join(stage.dir, 'credentials.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('alone is what login does', async () => {
    stage.relay.claimAnswer = stage.approve();
    const args = ['login', '--json', ...stage.atRelay, '--email', 'ada@example.com'];
    const first = await runAgent(stage.dir, args);
    expect(first.code).toBe(0);
    expect(first.stdout).toContain('"event":"enrolled"');
    expect(stage.relay.linkKeys).toEqual([]);
    const second = await runAgent(stage.dir, args);
    expect([second.code, stage.relay.registrations.length]).toEqual([0, 1]);
    expect(second.stderr).toContain('already');
  });

  it.each([
    [
      'an answer about another device',
      (): Answer => ({
        body: { ...(stage.approve()(stage.relay.registrations[0]!) as { body: object }).body, device: { id: createId(), name: 'x' } },
      }),
    ],
    ['the key of a user', () => stage.approve(createApiKeyText('user').text)(stage.relay.registrations[0]!)],
    [
      'no grant keys',
      (): Answer => ({ body: { ...(stage.approve()(stage.relay.registrations[0]!) as { body: object }).body, grant_keys: [] } }),
    ],
  ])('takes no credential from a relay that answers with %s', async (_what, answer) => {
    stage.relay.claimAnswer = answer;
    const { code, stdout } = await runAgent(stage.dir, stage.run('--email', 'ada@example.com'));
    expect(code).toBe(1);
    expect(stdout).toContain('protocol_error');
    await expect(stat(join(stage.dir, 'credentials.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('waits for a relay that is away, and goes on when it is there', async () => {
    const { port } = stage.relay.url;
    const args = stage.run('--email', 'ada@example.com');
    await stage.relay[Symbol.asyncDispose]();
    const agent = stage.start(args);
    expect(await agent.event('offline')).toMatchObject({ code: 'relay_unreachable' });
    await using back = await TestRelay.start({ port: Number(port) });
    const { request } = await agent.event('waiting');
    expect(back.registrations.map((one) => one.id)).toEqual([request]);
    await agent.stop();
  });

  it('with a key put there by hand that the relay does not know ends at once', async () => {
    stage.relay.linkError = { code: 'unauthenticated', message: 'The API key is not known here.' };
    const { code, stderr } = await runAgent(stage.dir, stage.run(), { TOWLINE_API_KEY: createApiKeyText('device').text });
    expect(stderr).toContain('not known here');
    expect(code).toBe(3);
    expect(stage.relay.linkKeys).toHaveLength(1);
  });
});
