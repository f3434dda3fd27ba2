import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { updateUserConfig } from '@towline/config/user-files';
import { createApiKeyText, type TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeviceFiles } from '../src/identity.ts';
import { loadSettings, type RunOptions } from '../src/settings.ts';
import { temporaryFolder } from './agent-process.ts';

let dir: string;
beforeEach(async () => {
  dir = await temporaryFolder();
});
afterEach(() => rm(dir, { recursive: true }));

const relay = 'https://relay.example.com:8085';
const load = (options: RunOptions = {}, env: Record<string, string> = {}) => loadSettings(options, { TOWLINE_CONFIG_DIR: dir, ...env });
const faultOf = (options: RunOptions, env: Record<string, string> = {}) =>
  load(options, env).then(
    () => 'loaded',
    (error: TowlineError) => `${error.code}: ${error.message} ${error.hint}`,
  );
const writeDeviceYaml = (text: string) => writeFile(join(dir, 'device.yaml'), text, { mode: 0o600 });

describe('settings of a runtime that cannot be right', () => {
  it.each<[string, RunOptions, Record<string, string>, RegExp]>([
    ['no relay', {}, {}, /^usage: The relay is not known/],
    ['a relay without TLS', { relay: 'http://relay.example.com' }, {}, /^relay_url: .*TLS/],
    ['a relay without TLS in the environment', {}, { TOWLINE_RELAY: 'http://relay.example.com' }, /^config_invalid: .*https/s],
    ['two owners', { relay, email: 'a@b.c', org: 'x' }, {}, /^usage: .*not both/],
    ['an owner that is no e-mail address', { relay, email: 'nobody' }, {}, /^config_invalid: .*--email/s],
    ['an organisation that is no id', { relay, org: 'Two Words' }, {}, /^config_invalid: .*--org/s],
    ['a name that is a command', { relay, name: 'devices' }, {}, /^config_invalid: .*--name.*devices/s],
    ['a transport that is none', { relay, transport: 'carrier-pigeon' }, {}, /^usage: .*--transport.*auto, quic, tls, websocket/],
    ['a CA file that is not there', { relay, ca: '/nonexistent/ca' }, {}, /^usage: .*nonexistent/],
    ['the key of a user', { relay }, { TOWLINE_API_KEY: createApiKeyText('user').text }, /^key_wrong_kind: .*twl_e_/],
    ['a text that is no key', { relay }, { TOWLINE_API_KEY: 'hunter2' }, /^unauthenticated: /],
    ['a profile that leaves the folder', { relay, profile: '../x' }, {}, /^usage: /],
  ])('%s', async (_what, options, env, fault) => {
    expect(await faultOf(options, env)).toMatch(fault);
    expect(await faultOf(options, env)).not.toContain('hunter2');
  });

  it('a stream in device.yaml that is not there is named with its line', async () => {
    await writeDeviceYaml('streams:\n  - exec\n  - telnet\n');
    expect(await faultOf({ relay })).toMatch(/^config_invalid: .*device\.yaml:3: .*exec, files, forward, shell.*telnet/);
  });

  it('a target in device.yaml that cannot be understood is named with its line, and what is wrong with it', async () => {
    await writeDeviceYaml('allow:\n  - localhost:*\n  - 0177.0.0.1:80\n');
    expect(await faultOf({ relay })).toMatch(/^config_invalid: .*device\.yaml:3: allow\[1\].*four decimal numbers.*0177/);
    await writeDeviceYaml('allow: ["db.internal:5432", "unix:/run/app.sock"]\n');
    expect(await load({ relay })).toMatchObject({ allow: ['db.internal:5432', 'unix:/run/app.sock'], maxConnections: 2_000 });
  });

  it('a device.yaml that everybody can write is refused', async () => {
    await writeDeviceYaml('run_as: root\n');
    await chmod(join(dir, 'device.yaml'), 0o666);
    expect(await faultOf({ relay })).toMatch(/^config_invalid: .*chmod/s);
  });
});

describe('settings come from', () => {
  it('flags before the environment before device.yaml', async () => {
    await writeDeviceYaml('relay: https://yaml.example.com\nowner: org:yaml\nname: from-yaml\nrun_as: yaml\nlimits: { sessions: 3 }\n');
    const env = { TOWLINE_RELAY: 'https://env.example.com', OWNER_REFERENCE: 'org:env' };
    expect(await load({ relay, org: 'flag', runAs: 'flag' }, env)).toMatchObject({
      owner: 'org:flag',
      name: 'from-yaml',
      runAs: 'flag',
      maxSessions: 3,
    });
    expect((await load({}, env)).relay.origin).toBe('https://env.example.com');
    expect(await load({}, {})).toMatchObject({
      owner: 'org:yaml',
      runAs: 'yaml',
      streams: ['shell', 'exec', 'files', 'forward'],
      allow: ['localhost:*'],
    });
  });

  it('the relay and trust that were kept, as long as it is that relay', async () => {
    const files = new DeviceFiles(dir);
    await files.identity();
    await files.saveTrust({ url: relay, trust: { fingerprint: 'sha256:kept' } });
    expect(await load()).toMatchObject({ trust: { fingerprint: 'sha256:kept' } });
    expect((await load()).relay.origin).toBe(relay);
    expect((await load({ relay: 'https://other.example.com' })).trust).toEqual({});
  });

  it('a CA that is given, which a pin that was kept does not overrule', async () => {
    const files = new DeviceFiles(dir);
    await files.saveTrust({ url: relay, trust: { fingerprint: 'sha256:kept' } });
    await writeFile(join(dir, 'ca.pem'), 'PEM');
    expect((await load({ ca: join(dir, 'ca.pem') }, { TOWLINE_TLS_FINGERPRINT: 'sha256:env' })).trust).toEqual({ ca: 'PEM' });
    expect((await load({}, { TOWLINE_CA_FILE: join(dir, 'ca.pem') })).trust).toEqual({ ca: 'PEM' });
    expect((await load({}, { TOWLINE_TLS_FINGERPRINT: 'sha256:env' })).trust).toEqual({ fingerprint: 'sha256:env' });
  });

  it('the login of the person at this machine, when it is for the same relay', async () => {
    await updateUserConfig(dir, () => ({ relay, fingerprint: 'sha256:user' }));
    expect((await load()).relay.origin).toBe(relay);
    expect((await load()).trust).toEqual({ fingerprint: 'sha256:user' });
    expect((await load({ relay: 'https://other.example.com' })).trust).toEqual({});
  });

  it('a switch for development that has to say exactly true', async () => {
    expect((await load({ relay }, { TOWLINE_TRUST_INVALID_CERT: 'true' })).trust).toEqual({ trustInvalid: true });
    expect((await load({ relay }, { M87_TRUST_INVALID_CERT: 'true' })).trust).toEqual({ trustInvalid: true });
    expect((await load({ relay }, { TOWLINE_TRUST_INVALID_CERT: '1' })).trust).toEqual({});
  });
});
