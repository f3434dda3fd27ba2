import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let folder: string;
let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'towline-hostile-'));
  const config = join(folder, 'relay.yaml');
  writeFileSync(config, 'transports:\n  - tls\n  - use: quic\n    max_connections: 1\n', { mode: 0o600 });
  system = createSystem();
  relay = await system.startRelay({ config });
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await system?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const linkOf = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey })).link;

describe('QUIC that is full', () => {
  it('keeps no device from the relay: it comes by TLS, and tells why', async () => {
    await system.enrolDevice(relay, { name: 'first', args: ['--transport', 'quic'] });
    await system.enrolDevice(relay, { name: 'second' });
    const link = await eventually(() => linkOf('second'), 'the second device is online');
    expect(link.transport).toBe('tls');
    expect(link.transport_note).toContain('QUIC');
    expect((await linkOf('first'))?.transport).toBe('quic');
    expect(await system.towline(relay, ['second', 'exec', '--', 'echo', 'by tls'])).toMatchObject({ code: 0, stdout: 'by tls\n' });
  });
});
