import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkDeviceConfig, type DeviceConfigSources, loadDeviceConfig } from '../src/device/index.ts';
import { formatFault } from '../src/faults/fault.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
type Start = Partial<Pick<DeviceConfigSources, 'env' | 'flags'>>;

async function load(yaml: string, { env = {}, flags = {} }: Start = {}) {
  const dir = scratch();
  put(join(dir, 'device.yaml'), yaml);
  return loadDeviceConfig({ dir, env, flags });
}

async function faultsOf(yaml: string, { env = {}, flags = {} }: Start = {}) {
  const dir = scratch();
  put(join(dir, 'device.yaml'), yaml);
  const check = await checkDeviceConfig({ dir, env, flags });
  return check.ok ? [] : check.faults.map((fault) => formatFault(fault).replace(`${dir}/`, ''));
}

describe('device.yaml', () => {
  test('may be missing: then shells, commands, files and forwards are served, 64 sessions at once', async () => {
    const config = await loadDeviceConfig({ dir: scratch(), env: {} });
    expect(config).toMatchObject({ streams: ['shell', 'exec', 'files', 'forward'], limits: { sessions: 64, connections: 2_000 } });
    for (const key of ['file', 'relay', 'owner', 'name', 'runAs']) expect(config).not.toHaveProperty(key);
  });

  test.each([
    ['relay', 'relay: https://Relay.example.com:8443/', { relay: 'https://relay.example.com:8443' }],
    ['owner', 'owner: user:Ada@Example.com', { owner: 'user:ada@example.com' }],
    ['owner', 'owner: ada@example.com', { owner: 'user:ada@example.com' }],
    ['owner', 'owner: org:acme', { owner: 'org:acme' }],
    ['name', 'name: kitchen pi', { name: 'kitchen pi' }],
    ['streams', 'streams: [exec]', { streams: ['exec'] }],
    ['streams', 'streams: []', { streams: [] }],
    ['run_as', 'run_as: pi', { runAs: 'pi' }],
    ['limits.sessions', 'limits: { sessions: 5 }', { limits: { sessions: 5 } }],
  ])('takes %s', async (_, yaml, expected) => expect(await load(yaml)).toMatchObject(expected));

  test('yields to variables, and those to flags', async () => {
    const yaml = 'relay: https://a.example\nowner: org:a\nname: a\nrun_as: a\n';
    const env = { TOWLINE_RELAY: 'https://b.example', TOWLINE_OWNER: 'org:b', OWNER_REFERENCE: 'org:x' };
    expect(await load(yaml, { env })).toMatchObject({ relay: 'https://b.example', owner: 'org:b', name: 'a' });
    const flags = { relay: 'https://c.example', owner: 'user:c@example.com', name: 'c', runAs: 'c' };
    expect(await load(yaml, { env, flags })).toMatchObject({
      relay: 'https://c.example',
      owner: 'user:c@example.com',
      name: 'c',
      runAs: 'c',
    });
  });

  test('yields to the older name of the owner', async () => {
    expect(await load('owner: org:a', { env: { OWNER_REFERENCE: 'bob@example.com' } })).toMatchObject({ owner: 'user:bob@example.com' });
  });

  test('takes variables in its texts', async () => {
    expect(await load(`name: pi-\${SERIAL}\nlimits: { sessions: \${MAX:-7} }\n`, { env: { SERIAL: '12' } })).toMatchObject({
      name: 'pi-12',
      limits: { sessions: 7 },
    });
  });

  test.each([
    ['an unknown key', 'stream: [shell]', 'device.yaml:1: stream: expected a known key; did you mean streams?, found an unknown key'],
    [
      'a key of a later version',
      'plugins: [x]',
      'device.yaml:1: plugins: expected one of relay, owner, name, streams, allow, run_as, limits',
    ],
    ['a relay without TLS', 'relay: http://relay.example.com', 'device.yaml:1: relay: expected the https URL of a relay'],
    ['a relay with a password', 'relay: https://u:hunter2@r.example', 'found a text of 27 characters'],
    [
      'an owner that is none',
      'owner: acme',
      'device.yaml:1: owner: expected user:EMAIL, org:ID, or an e-mail address, found the text "acme"',
    ],
    ['a name that is a verb', 'name: devices', 'device.yaml:1: name: expected a device name'],
    ['a name of control characters', 'name: "a\\e[2J"', 'device.yaml:1: name: expected a device name'],
    ['a stream with options', 'streams: [ { use: shell } ]', 'device.yaml:1: streams[0]: expected the name of a stream'],
    ['a stream twice', 'streams: [shell, shell]', 'device.yaml:1: streams[1]: expected each entry once'],
    ['a user by number', 'run_as: 0', 'device.yaml:1: run_as: expected the name of a user, found the number 0'],
    ['a user that is an option', 'run_as: --help', 'device.yaml:1: run_as: expected the name of a user'],
    [
      'no sessions',
      'limits: { sessions: 0 }',
      'device.yaml:1: limits.sessions: expected a whole number from 1 to 5,000, found the number 0',
    ],
  ])('with %s is refused', async (_, yaml, expected) => expect(await faultsOf(yaml)).toEqual([expect.stringContaining(expected)]));

  test('has all of its faults told at once, with those of variables and flags', async () => {
    const faults = await faultsOf('nmae: x\nrun_as: "a b"\n', { env: { OWNER_REFERENCE: 'nobody' }, flags: { relay: 'relay.example' } });
    expect(faults.map((fault) => fault.split(': expected')[0])).toEqual([
      'device.yaml:1: nmae',
      'device.yaml:2: run_as',
      'environment: OWNER_REFERENCE',
      'command line: --relay',
    ]);
    await expect(load('nmae: x')).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('places later faults by file and line', async () => {
    const config = await load('name: x\nrun_as: nobody-here\n');
    expect(config.faultAt(['run_as'], 'a user of this machine')).toMatchObject({ line: 2, found: 'the text "nobody-here"' });
  });

  test('that is damaged or a folder is refused, not ignored', async () => {
    expect(await faultsOf('name: [')).not.toEqual([]);
    const dir = scratch();
    put(join(dir, 'device.yaml', 'x'), '');
    await expect(loadDeviceConfig({ dir, env: {} })).rejects.toThrow(/device.yaml: expected a regular file, found a folder/);
  });
});
