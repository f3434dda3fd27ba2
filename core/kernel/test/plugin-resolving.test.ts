import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PluginEntry, PluginFaults, type PluginSources, resolvePlugins } from '../src/plugins/index.ts';
import { entry, PackageFolder, pluginSource } from './plugin-packages.ts';

let folder: PackageFolder;
beforeEach(() => {
  folder = new PackageFolder();
  globalThis.towlineTestEvents = [];
});
afterEach(() => {
  folder[Symbol.dispose]();
  globalThis.towlineTestEvents = undefined;
});

const one = { contract: 1, plugins: [{ kind: 'auth', name: 'sso', export: '.' }] };
const sso = (parts: Partial<Parameters<typeof pluginSource>[0]> = {}) => ({
  kind: 'auth' as const,
  name: 'sso',
  source: pluginSource({ kind: 'auth', name: 'sso', ...parts }),
});

async function faultsOf(entries: readonly PluginEntry[], sources: PluginSources, deadlineMs = 5_000) {
  const error = await resolvePlugins(entries, sources, { deadlineMs }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PluginFaults)) throw new Error(`Expected faults, got ${String(error)}`, { cause: error });
  return error.faults.map(({ code, message, hint }) => ({ code, message, hint }));
}

const onlyFault = async (...given: Parameters<typeof faultsOf>) => {
  const faults = await faultsOf(...given);
  expect(faults).toHaveLength(1);
  return faults[0]!;
};

describe('resolving', () => {
  it('picks plugins by kind and name from whatever package brings them, in the order of their start', async () => {
    const several = {
      contract: 1,
      plugins: [
        { kind: 'audit', name: 'file', export: './file' },
        { kind: 'store', name: 'file', export: './store' },
      ],
    };
    folder.addStandard('@towline-test/several', {
      manifest: several,
      json: { exports: { './file': { import: './file.js' }, './store': './store.js' } },
    });
    folder.writeFile(join(folder.relay, 'node_modules/@towline-test/several/file.js'), pluginSource({ kind: 'audit', name: 'file' }));
    folder.writeFile(join(folder.relay, 'node_modules/@towline-test/several/store.js'), pluginSource({ kind: 'store', name: 'file' }));
    folder.addStandard('towline-sso', sso({ options: 'z.strictObject({ issuer: z.string(), retries: z.number().default(3) })' }));
    const entries = [
      entry('auth', 'sso', { issuer: 'a' }),
      entry('audit', 'file', {}, { required: true }),
      entry('store', 'file'),
      entry('auth', 'sso', { issuer: 'b' }),
    ];
    const resolved = await resolvePlugins(entries, folder.sources());
    expect(resolved.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['store file', 'audit file', 'auth sso', 'auth sso']);
    expect(resolved.map(({ options }) => options)).toEqual([{}, {}, { issuer: 'a', retries: 3 }, { issuer: 'b', retries: 3 }]);
    expect(resolved[1]).toMatchObject({ required: true, package: { name: '@towline-test/several', version: '1.2.3' }, at: { line: 7 } });
  });

  it('imports nothing that is not asked for', async () => {
    folder.addStandard('towline-sso', sso());
    folder.addStandard('other', { name: 'other', source: 'globalThis.towlineTestEvents.push("other"); throw new Error("imported");' });
    await resolvePlugins([entry('auth', 'sso')], folder.sources());
    expect(globalThis.towlineTestEvents).toEqual(['import sso']);
  });

  it('finds packages of the config beside the config first, then beside the relay, and folders by path', async () => {
    folder.addInstalled('@acme/near', { name: 'near' });
    folder.write(join(folder.relay, 'node_modules/@acme/near'), '@acme/near', { name: 'far' });
    folder.write(join(folder.relay, 'node_modules/@acme/far'), '@acme/far', { name: 'beside-relay' });
    folder.write(join(folder.root, 'etc/node_modules/above'), 'above', { name: 'above' });
    folder.write(join(folder.config, 'my-plugin'), 'my-plugin', { name: 'mine' });
    const absolute = join(folder.root, 'elsewhere');
    folder.write(absolute, 'elsewhere', { name: 'absolute' });
    const entries = ['near', 'beside-relay', 'above', 'mine', 'absolute'].map((name) => entry('auth', name));
    const resolved = await resolvePlugins(entries, folder.sources('@acme/near', '@acme/far', 'above', './my-plugin', absolute));
    expect(resolved.map(({ package: found }) => found.folder)).toEqual([
      join(folder.config, 'node_modules/@acme/near'),
      join(folder.relay, 'node_modules/@acme/far'),
      join(folder.root, 'etc/node_modules/above'),
      join(folder.config, 'my-plugin'),
      absolute,
    ]);
    await expect(resolvePlugins([entry('auth', 'far')], folder.sources('@acme/near'))).rejects.toThrow('No auth plugin is called "far"');
  });

  it('takes the options of a function that is told their schema', async () => {
    folder.addStandard('towline-sso', sso({ options: 'z.strictObject({ retries: z.number() })' }));
    const options = (schema: unknown) => ({ retries: JSON.stringify(schema).includes('"number"') ? 5 : 'no schema' });
    const [resolved] = await resolvePlugins([entry('auth', 'sso', options)], folder.sources());
    expect(resolved!.options).toEqual({ retries: 5 });
  });

  it('does not mind one package listed twice', async () => {
    folder.addStandard('towline-sso', sso());
    expect(
      await resolvePlugins([entry('auth', 'sso')], folder.sources('towline-sso', join(folder.relay, 'node_modules/towline-sso'))),
    ).toHaveLength(1);
  });
});

describe('a package', () => {
  it('that is missing is a fault with its place in the config and the command that installs it', async () => {
    const fault = await onlyFault([], folder.sources('@acme/towline-auth-sso'));
    expect(fault.code).toBe('plugin_missing');
    expect(fault.message).toMatch(
      /relay\.yaml:40: The package "@acme\/towline-auth-sso" was found neither from .*\/etc\/towline nor beside the relay/,
    );
    expect(fault.hint).toContain(`npm install @acme/towline-auth-sso\` in ${folder.config}`);
  });

  it('of the distribution that is missing is a fault of the installation', async () => {
    const sources = { distribution: { packages: ['@towline-test/gone'], from: folder.relay } };
    expect(await onlyFault([], sources)).toMatchObject({ code: 'plugin_missing', hint: 'Install the relay again.' });
  });

  it.each(['./no-such-folder', '../x', 'Not A Name', 'a/b/c', '../../etc/passwd', '@a/../b', ''])(
    'named %j that cannot be found is a fault',
    async (name) => {
      expect((await onlyFault([], folder.sources(name))).code).toBe('plugin_missing');
    },
  );

  it.each([
    ['no manifest', null, /has no "towline" entry/],
    ['a manifest that is a text', 'auth', /not valid/],
    ['a manifest without plugins', { contract: 1 }, /plugins/],
    ['a manifest with an empty list', { contract: 1, plugins: [] }, /plugins/],
    ['an unknown kind', { contract: 1, plugins: [{ kind: 'login', name: 'x', export: '.' }] }, /plugins\.0\.kind/],
    ['a name in capitals', { contract: 1, plugins: [{ kind: 'auth', name: 'SSO', export: '.' }] }, /plugins\.0\.name: expected lower-case/],
    ['an export outside of the package', { contract: 1, plugins: [{ kind: 'auth', name: 'x', export: '../x.js' }] }, /plugins\.0\.export/],
    [
      'an export that leads to nothing',
      { contract: 1, plugins: [{ kind: 'auth', name: 'x', export: './gone' }] },
      /behind "\.\/gone", but no file/,
    ],
    ['the same plugin twice', { contract: 1, plugins: [...one.plugins, ...one.plugins] }, /"sso" twice/],
    ['no level', { plugins: one.plugins }, /contract/],
  ])('with %s is a fault of its manifest, and is not imported', async (_what, manifest, message) => {
    folder.addStandard('broken', { manifest });
    const fault = await onlyFault([], folder.sources());
    expect(fault.code).toBe('plugin_manifest');
    expect(fault.message).toMatch(message);
    expect(globalThis.towlineTestEvents).toEqual([]);
  });

  it('whose exports lead out of it is a fault of its manifest', async () => {
    folder.addStandard('broken', { json: { exports: './../towline-sso/index.js' } });
    folder.addStandard('towline-sso', sso());
    expect((await faultsOf([], folder.sources())).map(({ code }) => code)).toEqual(['plugin_manifest']);
  });

  it('whose package.json is no JSON is a fault of its manifest', async () => {
    folder.addStandard('broken', {});
    folder.writeFile(join(folder.relay, 'node_modules/broken/package.json'), '{ nonsense');
    expect(await onlyFault([], folder.sources())).toMatchObject({
      code: 'plugin_manifest',
      message: expect.stringContaining('cannot be read'),
    });
  });

  it.each([0, 2])('of contract level %i is refused before it is imported', async (contract) => {
    folder.addStandard('other-level', { manifest: { ...one, contract, futureShape: true }, source: 'throw new Error("imported");' });
    const faults = await faultsOf([entry('auth', 'sso')], folder.sources());
    expect(faults[0]).toMatchObject({
      code: 'plugin_contract',
      message: expect.stringContaining(`contract level ${contract}; this relay has level 1`),
    });
    expect(faults[1]).toMatchObject({ code: 'plugin_missing' });
  });

  it('that brings what another brings is a fault that names both', async () => {
    folder.addStandard('towline-sso', sso());
    folder.addInstalled('@acme/sso', sso());
    const fault = await onlyFault([], folder.sources('@acme/sso'));
    expect(fault).toMatchObject({ code: 'plugin_duplicate', hint: expect.stringContaining('Remove one') });
    expect(fault.message).toMatch(/^\S+relay\.yaml:40: The auth plugin "sso" is brought by towline-sso .* and @acme\/sso/);
  });
});

describe('a plugin', () => {
  it('that nobody brings is a fault with the nearest name and all names', async () => {
    folder.addStandard('towline-sso', sso());
    const fault = await onlyFault([entry('auth', 'ssoo')], folder.sources());
    expect(fault.code).toBe('plugin_missing');
    expect(fault.message).toBe('relay.yaml:7: No auth plugin is called "ssoo". Did you mean "sso"? There are: sso.');
  });

  it('that is of another kind is a fault that says so', async () => {
    folder.addStandard('towline-sso', sso());
    expect((await onlyFault([entry('audit', 'sso')], folder.sources())).message).toContain('of kind auth');
  });

  it.each([
    [
      'of another kind than its manifest says',
      pluginSource({ kind: 'stream', name: 'sso' }),
      'plugin_kind',
      /of kind auth, and it is of kind stream/,
    ],
    [
      'of another name than its manifest says',
      pluginSource({ kind: 'auth', name: 'oidc' }),
      'plugin_kind',
      /called "sso", and it is called "oidc"/,
    ],
    ['that is not exported as "plugin"', 'export const sso = 1;', 'plugin_kind', /has no export "plugin"/],
    ['that is no plugin', 'export const plugin = { kind: "auth", name: "sso", create() {} };', 'plugin_kind', /not made by definePlugin/],
    ['whose options are no schema', sso({ options: '{}' }).source, 'plugin_kind', /Standard Schema/],
    [
      'that was made by another level than its manifest says',
      `const level = Symbol.for('towline.plugin'); export const plugin = { [level]: true, contract: 2, kind: 'auth', name: 'sso', options: { '~standard': { version: 1 } }, needs: [], create() {} };`,
      'plugin_contract',
      /level 2/,
    ],
    ['that needs what this level does not have', sso({ needs: '["gateway"]' }).source, 'plugin_contract', /needs "gateway"/],
    ['whose module throws', 'throw new Error("no libfoo here");', 'plugin_failed', /cannot be imported: no libfoo here\./],
    ['whose module is no JavaScript', 'export const plugin = ;', 'plugin_failed', /cannot be imported/],
    ['whose module lacks a part', 'import "./gone.js";', 'plugin_failed', /cannot be imported/],
    [
      'whose schema throws',
      sso({ options: '{ "~standard": { version: 1, vendor: "own", validate() { throw new Error("odd"); } } }' }).source,
      'plugin_failed',
      /checked its options: odd\./,
    ],
  ])('%s is a fault', async (_what, source, code, message) => {
    folder.addStandard('towline-sso', { manifest: one, source });
    const fault = await onlyFault([entry('auth', 'sso')], folder.sources());
    expect(fault.code).toBe(code);
    expect(fault.message).toMatch(/^relay\.yaml:7: /);
    expect(fault.message).toMatch(message);
    expect(fault.hint).not.toBe('');
  });

  it.each(['store', 'audit'] as const)('of kind %s that needs the store is a fault, since the store is not there yet', async (kind) => {
    folder.addStandard('early', { kind, name: 'early', source: pluginSource({ kind, name: 'early', needs: '["store"]' }) });
    expect(await onlyFault([entry(kind, 'early')], folder.sources())).toMatchObject({
      code: 'plugin_kind',
      message: expect.stringContaining('needs "store"'),
    });
  });

  it.each([
    ['module', 'await new Promise(() => {});', 'z.strictObject({})', /not imported within 0\.5 s/],
    [
      'schema',
      '',
      '{ "~standard": { version: 1, vendor: "own", validate: () => new Promise(() => {}) } }',
      /did not check its options within/,
    ],
  ])('whose %s hangs is given up', async (_what, before, options, message) => {
    folder.addStandard('towline-sso', sso({ before, options }));
    const fault = await onlyFault([entry('auth', 'sso')], folder.sources(), 500);
    expect(fault.code).toBe('plugin_timeout');
    expect(fault.message).toMatch(message);
  });
});

describe('options', () => {
  const schema =
    'z.object({ issuer: z.string(), claims: z.object({ scopes: z.string() }).optional(), rules: z.array(z.object({ domain: z.string() })).optional(), extra: z.looseObject({ a: z.string() }).optional() })';

  it('that are wrong are one fault each, with the place of the entry', async () => {
    folder.addStandard('towline-sso', sso({ options: 'z.strictObject({ issuer: z.string(), retries: z.number() })' }));
    const faults = await faultsOf([entry('auth', 'sso', { issuer: 7, retries: 'many' })], folder.sources());
    expect(faults.map(({ code }) => code)).toEqual(['plugin_options', 'plugin_options']);
    expect(faults[0]!.message).toMatch(/^relay\.yaml:7: auth "sso": issuer: .*expected string/);
    expect(faults[1]!.message).toMatch(/retries: .*expected number/);
  });

  it('that are unknown are faults with the nearest name at any depth, even where the schema would drop them', async () => {
    folder.addStandard('towline-sso', sso({ options: schema }));
    const options = {
      isuer: 'x',
      issuer: 'y',
      claims: { scopes: 'z', scops: 'z' },
      rules: [{ domain: 'a' }, { domian: 'b', domain: 'b' }],
      extra: { a: 'b', free: 1 },
    };
    const messages = (await faultsOf([entry('auth', 'sso', options)], folder.sources())).map(({ message }) => message);
    expect(messages).toHaveLength(3);
    expect(messages[0]).toContain('unknown option "isuer". Did you mean "issuer"? There are: issuer, claims, rules, extra.');
    expect(messages[1]).toContain('unknown option "claims.scops". Did you mean "scopes"?');
    expect(messages[2]).toContain('unknown option "rules.1.domian". Did you mean "domain"?');
  });

  it('are placed by the config where it knows better', async () => {
    folder.addStandard('towline-sso', sso({ options: schema }));
    const placeOf = (path: readonly (string | number)[]) => ({ file: 'relay.yaml', line: path[0] === 'isuer' ? 9 : 8 });
    const faults = await faultsOf([entry('auth', 'sso', { isuer: 'x' }, { placeOf })], folder.sources());
    expect(faults.map(({ message }) => message.slice(0, 13))).toEqual(['relay.yaml:9:', 'relay.yaml:8:']);
  });

  it('of a schema library other than zod are checked by the JSON Schema that the plugin gives', async () => {
    const source = `import { definePlugin } from '@towline/contract';
      export const plugin = definePlugin({ kind: 'auth', name: 'sso', create: () => ({}),
        optionsJsonSchema: { type: 'object', properties: { url: { type: 'string' } } },
        options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } } });`;
    folder.addStandard('towline-sso', { manifest: one, source });
    expect((await onlyFault([entry('auth', 'sso', { ulr: 'x' })], folder.sources())).message).toContain('Did you mean "url"?');
    expect(await resolvePlugins([entry('auth', 'sso', { url: 'x' })], folder.sources())).toHaveLength(1);
  });

  it('never appear in a fault when they look like a secret', async () => {
    const key = `twl_u_0123456789abcdef_${'0123456789abcdef'.repeat(4)}`;
    folder.addStandard(
      'towline-sso',
      sso({ options: 'z.strictObject({ issuer: z.string().refine(() => false, { error: (issue) => "bad " + issue.input }) })' }),
    );
    expect((await onlyFault([entry('auth', 'sso', { issuer: key })], folder.sources())).message).not.toContain(key.slice(30));
  });
});

it('all faults of all plugins come at once', async () => {
  folder.addStandard('towline-sso', sso({ options: 'z.strictObject({ issuer: z.string() })' }));
  folder.addStandard('broken', { manifest: null });
  folder.addStandard('throwing', { name: 'throwing', source: 'throw new Error("x");' });
  const entries = [entry('auth', 'sso', { isuer: 'x' }), entry('auth', 'throwing'), entry('store', 'none')];
  const error = await resolvePlugins(entries, folder.sources('@acme/gone')).catch((thrown: unknown) => thrown as PluginFaults);
  const faults = (error as PluginFaults).faults;
  expect(faults.map(({ code }) => code)).toEqual([
    'plugin_missing',
    'plugin_manifest',
    'plugin_missing',
    'plugin_options',
    'plugin_options',
    'plugin_failed',
  ]);
  expect((error as PluginFaults).message).toMatch(/^6 faults of plugins:\n- /);
  for (const { message } of faults) expect((error as PluginFaults).message).toContain(message);
});
