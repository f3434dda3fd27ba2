import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, type Finished, ROOT, startProgram } from './support/process.ts';
import { bodyOf, openApi } from './support/relay-api.ts';
import { endRelay, runRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
beforeAll(() => {
  system = createSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

/** A folder with a config and packages of other people, as an operator would have it. */
class Site {
  readonly dir: string;
  /** What the plugins here tell of their lives, line by line. */
  readonly #told: string;

  constructor(name: string) {
    this.dir = join(system.dir, name);
    this.#told = join(this.dir, 'told');
    mkdirSync(join(this.dir, 'node_modules'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', '@towline'), join(this.dir, 'node_modules', '@towline'));
    symlinkSync(join(ROOT, 'node_modules', 'zod'), join(this.dir, 'node_modules', 'zod'));
  }

  get config(): string {
    return join(this.dir, 'towline.yaml');
  }

  get told(): string[] {
    return existsSync(this.#told) ? readFileSync(this.#told, 'utf8').trim().split('\n') : [];
  }

  configure(...lines: string[]): this {
    writeFileSync(this.config, `${lines.join('\n')}\n`);
    return this;
  }

  /** Writes a package with one plugin, which tells when it is imported. */
  addPackage(folder: string, { kind, name, ...parts }: PluginParts): this {
    const path = join(this.dir, folder);
    mkdirSync(path, { recursive: true });
    const manifest = { contract: 1, plugins: [{ kind, name, export: '.' }], ...parts.manifest };
    const json = { name: `@acme/${folder.replace(/.*\//, '')}`, version: '1.2.3', type: 'module', exports: './index.js' };
    writeFileSync(join(path, 'package.json'), JSON.stringify(parts.manifest === null ? json : { ...json, towline: manifest }));
    writeFileSync(
      join(path, 'index.js'),
      `import { appendFileSync } from 'node:fs';
       import { definePlugin } from '@towline/contract';
       import { z } from 'zod';
       const tell = (what) => appendFileSync(${JSON.stringify(this.#told)}, what + '\\n');
       tell('import ${name}');
       ${parts.before ?? ''}
       export const plugin = definePlugin({
         kind: '${parts.exportedKind ?? kind}', name: '${name}', options: ${parts.options ?? 'z.strictObject({})'},
         create: (options, host) => ${parts.create ?? `(${lively(name, kind)})`},
       });`,
    );
    return this;
  }

  start(): Promise<Finished> {
    return runRelay(['start', '--config', this.config, '--data', join(this.dir, 'data'), '--host', '127.0.0.1', '--port', '0']);
  }

  serve(): Promise<TestRelay> {
    return startRelayOn(join(this.dir, 'data'), { config: this.config });
  }
}

interface PluginParts {
  readonly kind: 'auth' | 'audit';
  readonly name: string;
  /** Laid over the `towline` entry of package.json; null: there is none. */
  readonly manifest?: object | null;
  readonly exportedKind?: string;
  readonly options?: string;
  readonly create?: string;
  /** Runs while the module is imported. */
  readonly before?: string;
}

/** An instance that tells of its start and its end. */
function lively(name: string, kind: 'auth' | 'audit', { start = '', dispose = '' } = {}): string {
  const work = kind === 'auth' ? "authenticate: async () => ({ outcome: 'skipped' })" : 'write: async () => {}';
  return `{ ${work},
    async start(signal) { tell('start ${name}'); ${start} },
    async [Symbol.asyncDispose]() { tell('stop ${name}'); ${dispose} } }`;
}

let sites = 0;
const site = () => new Site(`site-${(sites += 1)}`);
const withAuth = (more: Partial<PluginParts>) =>
  site()
    .addPackage('acme', { kind: 'auth', name: 'acme', ...more })
    .configure('plugins: [./acme]', 'auth:', '  - apikey', '  - acme');

describe('a package that cannot be used', () => {
  it('that is not installed is named with its line and the command that installs it', async () => {
    const here = site().configure('auth: [apikey]', 'plugins:', '  - "@acme/towline-auth-none"', '  - ./no-such-folder', '  - Not A Name');
    const { code, stdout, stderr } = await here.start();
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`${here.config}:3: The package "@acme/towline-auth-none" was found neither from ${here.dir} nor beside the relay.`);
    expect(stderr).toContain(`npm install @acme/towline-auth-none`);
    expect(stderr).toContain(`${here.config}:4: There is no package in the folder "./no-such-folder"`);
    expect(stderr).toMatch(/:5:.*"?Not A Name"?/);
  });

  it.each([
    ['without a manifest', { manifest: null }, 2, 'has no "towline" entry in its package.json', []],
    ['with a manifest of another form', { manifest: { plugins: 'acme' } }, 2, 'has a "towline" entry that is not valid', []],
    ['whose file is not there', { manifest: { plugins: [{ kind: 'auth', name: 'acme', export: './none' }] } }, 2, 'no file of it is exported there', []],
    ['for another contract level', { manifest: { contract: 2 } }, 2, 'contract level', []],
    ['of another kind than it says', { exportedKind: 'audit' }, 2, 'it is of kind audit', ['import acme']],
    ['that throws while it is imported', { before: "throw new Error('the licence has run out');" }, 1, 'the licence has run out.', ['import acme']],
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
    for (const text of ['contract level', './missing', 'No auth plugin is called "sso"', ':3: audit "file": path']) expect(stderr).toContain(text);
  });
});

describe('a plugin that does not start', () => {
  it('because of its options names file and line of each, and shows no value', async () => {
    const here = site()
      .addPackage('acme', { kind: 'auth', name: 'acme', options: 'z.strictObject({ url: z.url(), password: z.string().min(40), retries: z.int() })' })
      .configure('plugins: [./acme]', 'auth:', '  - apikey', '  - use: acme', '    url: not-a-url', '    pasword: hunter2', '    password: hunter3', '    retries: many');
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
    ['because start throws', `(${lively('acme', 'auth', { start: "throw new Error('ECONNREFUSED 10.0.0.1:389')" })})`, 'failed to start: ECONNREFUSED 10.0.0.1:389.'],
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
    await using program = startProgram(bin('towline-relay'), ['start', '--config', here.config, '--data', join(here.dir, 'data'), '--port', '0']);
    await eventually(async () => here.told.includes('start acme'), 'the plugin begins to start');
    program.child.kill('SIGTERM');
    const { code, stdout } = await program.finished;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(here.told).toContain('stop acme');
  });
});

describe('an audit sink that is not required', () => {
  it('is left out loudly when it fails to start, and the trail says so; one that is required is not', async () => {
    const failing = { kind: 'audit', name: 'shaky', create: `(${lively('shaky', 'audit', { start: "throw new Error('no collector')" })})` } as const;
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

describe('an auth plugin of somebody else', () => {
  /** Fifty lines are enough: tokens of its own, people with their verified addresses, no package but the contract. */
  const ACME = `
    import { createHash, timingSafeEqual } from 'node:crypto';
    import { readFileSync } from 'node:fs';
    import { resolve } from 'node:path';
    import { definePlugin } from '@towline/contract';

    const digest = (text) => createHash('sha256').update(text).digest();
    const options = {
      '~standard': {
        version: 1,
        vendor: 'acme',
        validate: (value) =>
          typeof value.users === 'string' ? { value } : { issues: [{ message: 'expected the path of a file', path: ['users'] }] },
      },
    };
    const textOf = (credential) =>
      credential.scheme === 'bearer' ? credential.token : credential.scheme === 'api_key' ? credential.key : null;

    export const plugin = definePlugin({
      kind: 'auth',
      name: 'acme',
      options,
      optionsJsonSchema: { type: 'object', properties: { users: { type: 'string' } }, additionalProperties: false },
      needs: ['baseDir'],
      create: ({ users }, host) => {
        let people = [];
        return {
          async start() {
            people = JSON.parse(readFileSync(resolve(host.baseDir, users), 'utf8'));
          },
          async authenticate(credential) {
            const text = textOf(credential);
            if (text === null || !text.startsWith('acme.')) return { outcome: 'skipped' };
            if (text === 'acme.crash') throw new Error('the directory of acme is down');
            const person = people.find(({ token }) => timingSafeEqual(digest(token), digest(text)));
            if (person === undefined) return { outcome: 'rejected', code: 'unauthenticated', message: 'Acme does not know this token.' };
            const scopes = [{ scope: 'user:' + person.email, role: 'admin' }];
            const principal = { kind: 'user', id: 'acme|' + person.id, label: person.email, email: person.email, scopes, admin: false, provider: 'acme' };
            return { outcome: 'accepted', principal };
          },
        };
      },
    });
  `;
  let relay: TestRelay;
  beforeAll(async () => {
    const here = site().addPackage('node_modules/@acme/towline-auth', { kind: 'auth', name: 'acme' });
    writeFileSync(join(here.dir, 'node_modules/@acme/towline-auth/index.js'), ACME);
    const people = [
      { id: 7, email: 'ann@acme.example', token: 'acme.ann-0123456789' },
      { id: 8, email: 'bob@acme.example', token: 'acme.bob-0123456789' },
    ];
    writeFileSync(join(here.dir, 'people.json'), JSON.stringify(people));
    here.configure(
      'plugins: ["@acme/towline-auth"]',
      'admin_emails: [bob@acme.example]',
      'auth: [{ use: acme, users: people.json }, apikey]',
    );
    relay = await here.serve();
  });
  afterAll(() => relay?.[Symbol.asyncDispose]());

  it('lets its people in over HTTP, and the others and a wrong token not', async () => {
    using api = openApi(relay);
    const me = (token: string) => api.call('GET', '/v1/me', { headers: { authorization: `Bearer ${token}` } });
    expect(bodyOf(await me('acme.ann-0123456789'))).toMatchObject({
      id: 'acme|7',
      email: 'ann@acme.example',
      provider: 'acme',
      admin: false,
    });
    expect(bodyOf(await me('acme.bob-0123456789'))).toMatchObject({ id: 'acme|8', admin: true });
    expect((await me('acme.eve')).body).toMatchObject({ error: { code: 'unauthenticated', message: 'Acme does not know this token.' } });
    expect(await me('elsewhere.eve')).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(bodyOf(await api.call('GET', '/v1/me', { key: relay.adminKey }))).toMatchObject({ provider: 'apikey', admin: true });
  });

  it('lets nobody in when it breaks, and does no harm to the others', async () => {
    using api = openApi(relay);
    expect(await api.call('GET', '/v1/me', { headers: { authorization: 'Bearer acme.crash' } })).toMatchObject({ status: 500, code: 'internal' });
    expect(relay.program.stderr).toContain('the directory of acme is down');
    expect((await api.call('GET', '/v1/me', { key: relay.adminKey })).status).toBe(200);
  });

  it('carries its people through the whole job by the command line, and the trail names them', async () => {
    const ann = { key: 'acme.ann-0123456789' };
    await using device = system.startDevice(relay, { name: 'ann-pi', email: 'ann@acme.example' });
    const { request } = await device.event('waiting');
    expect((await system.towline(relay, ['devices', 'approve', String(request)], ann)).code).toBe(0);
    await device.event('online');
    expect(await system.towline(relay, ['ann-pi', 'exec', '--', 'echo', 'hello'], ann)).toMatchObject({ code: 0, stdout: 'hello\n' });
    const opened = storedTrail(relay.dir).find(({ action }) => action === 'session.opened');
    expect(opened?.actor).toEqual({ kind: 'user', id: 'acme|7', label: 'ann@acme.example', email: 'ann@acme.example', provider: 'acme' });
    const stranger = await system.towline(relay, ['ann-pi', 'exec', '--', 'true'], { key: 'acme.eve-0123456789' });
    expect(stranger.code).toBe(255);
    expect(stranger.stderr).toContain('Acme does not know this token.');
  });
});
