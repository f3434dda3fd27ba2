import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAgent } from './agent-process.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});
afterEach(() => stage[Symbol.asyncDispose]());

const readJson = async (name: string) => JSON.parse(await readFile(join(stage.dir, name), 'utf8')) as Record<string, unknown>;

describe('what is typed wrongly', () => {
  it.each([
    ['an unknown option', ['run', '--frobnicate'], 2, /frobnicate/],
    ['an unknown command', ['fly'], 2, /fly/],
    ['nobody to approve', ['run', '--relay', 'https://localhost:1'], 2, /nobody was named[\s\S]*--email/],
  ])('%s is told on standard error, with what to do and exit code 2', async (_what, args, code, message) => {
    const result = await runAgent(stage.dir, args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/at .*\.js:/);
    expect(result.code).toBe(code);
  });

  it('a certificate that is not trusted stops the start, before anything is sent', async () => {
    const { code, stderr } = await runAgent(stage.dir, ['run', '--relay', stage.relay.url.origin, '--email', 'a@b.c']);
    expect(stderr).toContain('--fingerprint');
    expect(code).toBe(1);
    expect(stage.relay.registrations).toEqual([]);
  });
});

describe('files that do not fit', () => {
  it('credentials that others can read are refused', async () => {
    const { agent } = await stage.online();
    await agent.stop();
    await chmod(join(stage.dir, 'credentials.json'), 0o644);
    const { code, stderr } = await runAgent(stage.dir, ['run']);
    expect(stderr).toContain('chmod 600');
    expect(code).toBe(1);
  });

  it('another relay than the enrolled one is refused until logout, and the identity moves along', async () => {
    const { agent } = await stage.online();
    await agent.stop();
    const { code, stderr } = await runAgent(stage.dir, ['run', '--relay', 'https://localhost:1', '--email', 'a@b.c']);
    expect(stderr).toMatch(/enrolled at .*logout/s);
    expect(code).toBe(1);
    const out = await runAgent(stage.dir, ['logout']);
    expect(out.stderr).toContain('still lists the device');
    expect(JSON.stringify(await readJson('credentials.json'))).not.toContain('twl_d_');
    const identity = (await readJson('device.json')).device_id;
    await stage.online();
    expect((await stage.relay.device(1)).proof.device).toBe(identity);
  });
});
