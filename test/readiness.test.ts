import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSideSite, type SideOptions } from '../core/kernel/test/side-transport.ts';
import { fetchText } from '../core/kernel/test/text-answer.ts';
import { linkClient } from './support/raw-client.ts';
import { enrolRawDevice, linkDevice } from './support/raw-device.ts';
import { openApi } from './support/relay-api.ts';
import { startRelayOn } from './support/relay-process.ts';
import { eventually, type TestRelay } from './support/system.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'towline-readiness-'));
  folders.push(dir);
  return dir;
}

async function startWith(options: SideOptions): Promise<TestRelay> {
  const dir = newFolder();
  return startRelayOn(join(dir, 'data'), { config: createSideSite(dir, options).config });
}

describe('/readyz', () => {
  it('is as it was on a relay whose transports all come by the port of the API', async () => {
    const dir = newFolder();
    const config = join(dir, 'towline.yaml');
    writeFileSync(config, 'transports: [tls]\n');
    await using relay = await startRelayOn(join(dir, 'data'), { config });
    const { status, text } = await fetchText(relay, '/readyz');
    expect({ status, body: JSON.parse(text) }).toEqual({ status: 200, body: { status: 'ready' } });
  });

  it.each([
    [{ status: 'up' }, { status: 'up' }],
    [
      { status: 'down', detail: 'The edge ended; it is started again in 4 s.' },
      { status: 'down', detail: 'The edge ended; it is started again in 4 s.' },
    ],
    [
      { status: 'unavailable', detail: 'No binding for freebsd; Bearer abcdefghijklmnop' },
      { status: 'unavailable', detail: 'No binding for freebsd; Bearer [redacted]' },
    ],
  ] as const)('is 200 and tells how a transport’s own listener is: %j', async (options, shown) => {
    await using relay = await startWith(options);
    const { status, text } = await fetchText(relay, '/readyz');
    expect({ status, body: JSON.parse(text) }).toEqual({ status: 200, body: { status: 'ready', transports: { side: shown } } });
    expect((await fetchText(relay, '/metrics')).text).toContain(
      `towline_transport_up{transport="side"} ${options.status === 'up' ? 1 : 0}`,
    );
  });
});

describe('/metrics', () => {
  it('is text for Prometheus, for anybody, and names nobody', async () => {
    await using relay = await startRelayOn(join(newFolder(), 'data'));
    using api = openApi(relay);
    const { apiKey, identity } = await enrolRawDevice(api, { name: 'secret-project', owner: 'org:hidden' });
    await using _device = await linkDevice(relay, apiKey, { identity });
    await using client = await linkClient(relay, relay.adminKey);
    expect(await client.open('secret-project')).toBe('accepted');
    const text = await eventually(async () => {
      const answer = await fetchText(relay, '/metrics');
      return answer.text.includes('towline_sessions_open 1') && answer;
    }, 'the session is counted');
    expect(text.status).toBe(200);
    expect(text.type).toMatch(/^text\/plain; version=0\.0\.4/);
    for (const line of ['towline_links{kind="device",transport="tls"} 1', 'towline_links{kind="client",transport="tls"} 1'])
      expect(text.text.split('\n')).toContain(line);
    expect(text.text).not.toMatch(new RegExp(`secret-project|hidden|127\\.0\\.0\\.1|${identity.id}|admin@`));
    // Every line is one that a scraper can read.
    const lines = text.text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const line of lines) expect(line).toMatch(/^[a-z_][a-z0-9_]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+$/);
  });

  it('asked by many at once, and again and again, leaves the relay as quick as it was', async () => {
    await using relay = await startRelayOn(join(newFolder(), 'data'));
    using api = openApi(relay);
    const answers = await Promise.all(Array.from({ length: 200 }, () => fetchText(relay, '/metrics')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // Read anew once a second at most: all of them tell the same.
    expect(new Set(answers.map(({ text }) => text)).size).toBeLessThanOrEqual(10);
    expect((await api.call('GET', '/healthz')).status).toBe(200);
  });
});
