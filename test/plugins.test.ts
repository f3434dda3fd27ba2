import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lively, type PluginParts, Site } from './support/plugin-site.ts';
import { bin, startProgram } from './support/process.ts';
import { endRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestSystem } from './support/system.ts';

let system: TestSystem;
beforeAll(() => {
  system = createSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

let sites = 0;
const site = () => new Site(join(system.dir, `site-${(sites += 1)}`));
const withAuth = (more: Partial<PluginParts>) =>
  site()
    .addPackage('acme', { kind: 'auth', name: 'acme', ...more })
    .configure('plugins: [./acme]', 'auth:', '  - apikey', '  - acme');

describe('a package that cannot be used', () => {
  it('that is not installed is named with its line and the command that installs it', async () => {
    const here = site().configure('auth: [apikey]', 'plugins:', '  - "@acme/towline-auth-none"', '  - ./no-such-folder', '  - Not A Name');
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(
      `${here.config}:3: The package "@acme/towline-auth-none" was found neither from ${here.dir} nor beside the relay.`,
    );
    expect(stderr).toContain(`npm install @acme/towline-auth-none`);
    expect(stderr).toContain(`${here.config}:4: There is no package in the folder "./no-such-folder"`);
    expect(stderr).toMatch(/:5:.*"?Not A Name"?/);
  });

  it.each([
    ['without a manifest', { manifest: null }, 2, 'has no "towline" entry in its package.json', []],
    ['with a manifest of another form', { manifest: { plugins: 'acme' } }, 2, 'has a "towline" entry that is not valid', []],
    [
      'whose file is not there',
      { manifest: { plugins: [{ kind: 'auth', name: 'acme', export: './none' }] } },
      2,
      'no file of it is exported there',
      [],
    ],
    ['for another contract level', { manifest: { contract: 2 } }, 2, 'contract level', []],
    ['of another kind than it says', { exportedKind: 'audit' }, 2, 'it is of kind audit', ['import acme']],
    [
      'that throws while it is imported',
      { before: "throw new Error('the licence has run out');" },
      1,
      'the licence has run out.',
      ['import acme'],
    ],
    ['that is no JavaScript', { before: 'this is not JavaScript' }, 1, 'cannot be imported', []],
  ] as const)('%s stops the start, and says so', async (_what, parts, exit, text, told) => {
    const here = withAuth(parts);
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: exit, stdout: '' });
    expect(stderr).toContain(text);
    expect(stderr).toContain(`${here.config}:`);
    // What is wrong by its manifest was never run, and nothing was begun.
    expect(here.told).toEqual(told);
    expect(existsSync(join(here.dir, 'data'))).toBe(false);
  });

  it('that brings a name a second time is named together with the first', async () => {
    const here = site()
      .addPackage('one', { kind: 'auth', name: 'acme' })
      .addPackage('two', { kind: 'auth', name: 'acme' })
      .addPackage('three', { kind: 'auth', name: 'apikey' })
      .configure('plugins: [./one, ./two, ./three]', 'auth: [apikey]');
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('The auth plugin "acme" is brought by @acme/one');
    expect(stderr).toMatch(/The auth plugin "apikey" is brought by @towline\/auth-apikey .* and @acme\/three/);
    expect(here.told).toEqual([]);
  });

  it('is told together with all others', async () => {
    const here = site()
      .addPackage('bad', { kind: 'audit', name: 'bad', manifest: { contract: 7 } })
      .configure('plugins: [./bad, ./missing]', 'auth: [apikey, sso]', 'audit: { sinks: [{ use: file }] }');
    const { code, stderr } = await here.start();
    expect(code).toBe(2);
    for (const text of ['contract level', './missing', 'No auth plugin is called "sso"', ':3: audit "file": path'])
      expect(stderr).toContain(text);
  });
});

describe('a plugin that does not start', () => {
  it('because of its options names file and line of each, and shows no value', async () => {
    const here = site()
      .addPackage('acme', {
        kind: 'auth',
        name: 'acme',
        options: 'z.strictObject({ url: z.url(), password: z.string().min(40), retries: z.int() })',
      })
      .configure(
        'plugins: [./acme]',
        'auth:',
        '  - apikey',
        '  - use: acme',
        '    url: not-a-url',
        '    pasword: hunter2',
        '    password: hunter3',
        '    retries: many',
      );
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`${here.config}:5: auth "acme": url`);
    expect(stderr).toContain(`${here.config}:6: auth "acme": unknown option "pasword". Did you mean "password"?`);
    expect(stderr).toContain(`${here.config}:7: auth "acme": password`);
    expect(stderr).toContain(`${here.config}:8: auth "acme": retries`);
    expect(stderr).not.toMatch(/hunter[23]/);
  });

  it.each([
    ['because create throws', "(() => { throw new Error('no such realm'); })()", 'failed to start: no such realm.'],
    ['because create answers a promise', 'Promise.resolve({ authenticate() {} })', 'its create() returned a promise'],
    ['because it lacks what its kind needs', "({ authenticat: async () => ({ outcome: 'accepted' }) })", 'without authenticate'],
    [
      'because start throws',
      `(${lively('acme', 'auth', { start: "throw new Error('ECONNREFUSED 10.0.0.1:389')" })})`,
      'failed to start: ECONNREFUSED 10.0.0.1:389.',
    ],
  ])('%s stops the relay, with what was started before', async (_what, create, text) => {
    const here = site()
      .addPackage('first', { kind: 'audit', name: 'first' })
      .addPackage('acme', { kind: 'auth', name: 'acme', create })
      .configure('plugins: [./first, ./acme]', 'audit: { sinks: [first] }', 'auth: [apikey, acme]');
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${here.config}:3: The auth plugin "acme" of @acme/acme`);
    expect(stderr).toContain(text);
    expect(here.told.filter((line) => line.endsWith('first'))).toEqual(['import first', 'start first', 'stop first']);
    // Nothing of the relay stayed behind to hold the data folder.
    await using again = await startRelayOn(join(here.dir, 'data'));
    expect(again.url).toMatch(/^https:/);
  });

  it('because it hangs can be given up with the whole start', async () => {
    const here = withAuth({ create: `(${lively('acme', 'auth', { start: 'setInterval(() => {}, 1e3); await new Promise(() => {});' })})` });
    await using program = startProgram(bin('towline-relay'), [
      'start',
      '--config',
      here.config,
      '--data',
      join(here.dir, 'data'),
      '--port',
      '0',
    ]);
    await eventually(async () => here.told.includes('start acme'), 'the plugin begins to start');
    program.child.kill('SIGTERM');
    const { code, stdout } = await program.finished;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(here.told).toContain('stop acme');
  });
});

describe('an audit sink that is not required', () => {
  it('is left out loudly when it fails to start, and the trail says so; one that is required is not', async () => {
    const failing = {
      kind: 'audit',
      name: 'shaky',
      create: `(${lively('shaky', 'audit', { start: "throw new Error('no collector')" })})`,
    } as const;
    const here = site().addPackage('shaky', failing).configure('plugins: [./shaky]', 'audit: { sinks: [{ use: shaky, required: false }] }');
    await using relay = await here.serve();
    expect(relay.program.stderr).toMatch(/"level":40.*AUDIT SINK \\"shaky\\" IS LEFT OUT/);
    expect(relay.program.stderr).toContain('no collector');
    expect(storedTrail(relay.dir)).toContainEqual(
      expect.objectContaining({ action: 'audit.sink_skipped', outcome: 'failed', reason: 'plugin_failed', detail: { sink: 'shaky' } }),
    );
    expect((await system.towline(relay, ['whoami'])).code).toBe(0);
    expect(here.told).toEqual(['import shaky', 'start shaky', 'stop shaky']);
    const strict = site().addPackage('shaky', failing).configure('plugins: [./shaky]', 'audit: { sinks: [shaky] }');
    expect(await strict.start()).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('a plugin that fails when the relay stops', () => {
  it('is told, makes the exit code 1, and keeps no other from being stopped, in reverse order', async () => {
    const here = site()
      .addPackage('a', { kind: 'audit', name: 'a' })
      .addPackage('b', { kind: 'audit', name: 'b', create: `(${lively('b', 'audit', { dispose: "throw new Error('still busy')" })})` })
      .addPackage('c', { kind: 'auth', name: 'c' })
      .configure('plugins: [./c, ./b, ./a]', 'audit: { sinks: [a, b] }', 'auth: [apikey, c]');
    const relay = await here.serve();
    const { code, stderr } = await endRelay(relay, 'SIGTERM');
    expect(code).toBe(1);
    expect(stderr).toMatch(/"level":50.*still busy/);
    expect(here.told.filter((line) => !line.startsWith('import'))).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  });
});
