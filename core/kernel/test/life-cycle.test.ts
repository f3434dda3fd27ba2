import { isTowlineError, type PluginKind, TowlineError } from '@towline/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StartSettings, startPlugins } from '../src/life-cycle.ts';
import { type PluginEntry, PluginFaults, resolvePlugins } from '../src/plugins/index.ts';
import { memoryLog } from './audit-parts.ts';
import { entry, PackageFolder, pluginSource, tellingInstance } from './plugin-packages.ts';

let folder: PackageFolder;
beforeEach(() => {
  folder = new PackageFolder();
  globalThis.towlineTestEvents = [];
});
afterEach(() => {
  folder[Symbol.dispose]();
  globalThis.towlineTestEvents = undefined;
});

/** Installs a plugin that tells its life. Its package and plugin have the same name. */
function add(
  kind: PluginKind,
  name: string,
  more: { start?: string; dispose?: string; members?: string; create?: string; needs?: string } = {},
) {
  const source = pluginSource({
    kind,
    name,
    options: 'z.looseObject({})',
    create: more.create ?? `(options, host) => (globalThis.towlineTestEvents.push('create ${name}'), ${tellingInstance(name, more)})`,
    needs: more.needs ?? '[]',
  });
  folder.addStandard(name, { kind, name, source });
  return entry(kind, name);
}

function addAll(): readonly PluginEntry[] {
  return [
    add('transport', 'tls'),
    add('auth', 'oidc'),
    add('audit', 'file'),
    add('auth', 'apikey'),
    add('stream', 'exec'),
    add('store', 'sqlite'),
  ];
}

async function start(entries: readonly PluginEntry[], more: Partial<StartSettings> = {}) {
  const resolved = await resolvePlugins(entries, folder.sources());
  globalThis.towlineTestEvents!.length = 0;
  return await startPlugins(resolved, {
    ...memoryLog(),
    clock: { now: () => 5 },
    dataDir: '/data',
    baseDir: '/config',
    startDeadlineMs: 5_000,
    disposeDeadlineMs: 5_000,
    ...more,
  });
}

async function faultsOf(promise: Promise<unknown>) {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PluginFaults)) throw new Error(`Expected faults, got ${String(error)}`, { cause: error });
  return error.faults;
}

const events = () => globalThis.towlineTestEvents!;
const told = (verb: string) =>
  events()
    .filter((event) => event.startsWith(verb))
    .map((event) => event.slice(verb.length + 1));

describe('the start', () => {
  it('goes by kind and, within a kind, by the config; the stop is its exact reverse', async () => {
    const started = await start(addAll());
    const order = ['sqlite', 'file', 'oidc', 'apikey', 'exec', 'tls'];
    expect(events()).toEqual(order.flatMap((name) => [`create ${name}`, `start ${name}`]));
    await started[Symbol.asyncDispose]();
    expect(events().slice(12)).toEqual([...order].reverse().map((name) => `dispose ${name}`));
    await started[Symbol.asyncDispose]();
    expect(events()).toHaveLength(18);
  });

  it('hands out what has started under its names', async () => {
    const started = await start(addAll());
    expect(started.store).toHaveProperty('devices');
    expect(started.sinks).toEqual([{ name: 'file', sink: expect.objectContaining({ write: expect.any(Function) }), required: true }]);
    expect(started.providers.map(({ name }) => name)).toEqual(['oidc', 'apikey']);
    expect(started.streams.map(({ name, handler }) => [name, handler.protocol])).toEqual([['exec', '/x/1']]);
    expect(started.transports.map(({ name }) => name)).toEqual(['tls']);
  });

  it('gives a plugin log, clock and what it asked for, and nothing else', async () => {
    const tell = (name: string) =>
      `(options, host) => { host.log.warn('hello', { from: 1 }); globalThis.towlineTestEvents.push(Object.keys(host).sort().join() + ' ' + host.clock.now() + ' ' + (host.store?.mark ?? '') + ' ' + (host.dataDir ?? '')); return ${tellingInstance(name)} }`;
    const store = add('store', 'sqlite', {
      create: `(options, host) => Object.assign(${tellingInstance('sqlite')}, { mark: 'the store' })`,
      needs: '["dataDir"]',
    });
    const entries = [
      store,
      add('auth', 'plain', { create: tell('plain') }),
      add('stream', 'needy', { create: tell('needy'), needs: '["store", "dataDir"]' }),
    ];
    const { log, lines } = memoryLog();
    await start(entries, { log });
    expect(events().filter((event) => event.includes('clock'))).toEqual(['clock,log 5  ', 'clock,dataDir,log,store 5 the store /data']);
    expect(lines).toContainEqual({ level: 'warn', message: 'hello', fields: { plugin: 'auth/plain', from: 1 } });
  });

  it('needs exactly one store', async () => {
    expect((await faultsOf(start([add('auth', 'apikey')])))[0]).toMatchObject({
      code: 'plugin_missing',
      message: 'No store is configured.',
    });
    expect((await faultsOf(start([add('store', 'one'), add('store', 'two')])))[0]!.code).toBe('plugin_duplicate');
    expect(events()).toEqual([]);
  });
});

describe('a plugin that fails to start', () => {
  it.each([
    [
      'create throws',
      { create: '() => { throw new Error("no such mode"); }' },
      'plugin_failed',
      /^relay\.yaml:7: The auth plugin "broken" of broken failed to start: no such mode\.$/,
      [],
    ],
    ['create answers nothing', { create: '() => {}' }, 'plugin_failed', /returned no object/, []],
    ['create answers a promise', { create: '() => Promise.resolve({})' }, 'plugin_failed', /returned a promise/, []],
    ['create answers something else', { members: ' ' }, 'plugin_failed', /without authenticate/, ['broken']],
    ['start throws', { start: 'throw new Error("port taken");' }, 'plugin_failed', /failed to start: port taken\./, ['broken']],
    [
      'start throws at once',
      { create: '() => ({ authenticate() {}, start() { throw new Error("at once"); } })' },
      'plugin_failed',
      /failed to start: at once\./,
      [],
    ],
    ['start throws nothing', { start: 'throw undefined;' }, 'plugin_failed', /failed to start: undefined\./, ['broken']],
    ['start hangs', { start: 'await new Promise(() => {});' }, 'plugin_timeout', /did not start within 0\.1 s/, ['broken']],
  ] as const)('because %s stops the start; what was created is disposed in reverse', async (_what, parts, code, message, alsoDisposed) => {
    const entries = [
      add('store', 'sqlite'),
      add('audit', 'file'),
      add('auth', 'apikey'),
      add('auth', 'broken', parts),
      add('stream', 'exec'),
    ];
    const faults = await faultsOf(start(entries, { startDeadlineMs: 100 }));
    expect(faults).toHaveLength(1);
    expect(faults[0]!.code).toBe(code);
    expect(faults[0]!.message).toMatch(message);
    expect(told('dispose')).toEqual([...alsoDisposed, 'apikey', 'file', 'sqlite']);
    expect(told('create')).not.toContain('exec');
  });

  it('keeps the hint and the cause of the error it threw', async () => {
    const broken = add('store', 'broken', {
      start: `const { TowlineError } = await import('@towline/contract'); throw new TowlineError('data_in_use', 'Taken by 12.', { hint: 'Stop 12.' });`,
    });
    const [fault] = await faultsOf(start([broken]));
    expect(fault).toMatchObject({ code: 'plugin_failed', hint: 'Stop 12.' });
    expect(fault!.message).toContain('Taken by 12.');
    expect(isTowlineError(fault!.cause) && fault!.cause.code).toBe('data_in_use');
  });

  it('is told by its signal to give up, and its late failure disturbs nobody', async () => {
    const waits = `await new Promise((resolve) => signal.addEventListener('abort', resolve)); globalThis.towlineTestEvents.push('aborted'); throw new Error('late');`;
    const [fault] = await faultsOf(start([add('store', 'slow', { start: waits })], { startDeadlineMs: 50 }));
    expect(fault!.code).toBe('plugin_timeout');
    await new Promise((resolve) => setImmediate(resolve));
    expect(events()).toContain('aborted');
  });

  it('is reported beside what went wrong while the others were disposed', async () => {
    const entries = [
      add('store', 'sqlite', { dispose: 'throw new Error("locked");' }),
      add('audit', 'file'),
      add('auth', 'broken', { start: 'throw new Error("first");', dispose: 'await new Promise(() => {});' }),
    ];
    const faults = await faultsOf(start(entries, { disposeDeadlineMs: 50 }));
    expect(faults.map(({ code }) => code)).toEqual(['plugin_failed', 'plugin_timeout', 'plugin_failed']);
    expect(faults.map(({ message }) => /first|did not stop|locked/.exec(message)?.[0])).toEqual(['first', 'did not stop', 'locked']);
    expect(told('dispose')).toEqual(['broken', 'file', 'sqlite']);
  });

  it('does not tell a secret that stands in its error', async () => {
    const [fault] = await faultsOf(
      start([add('store', 'broken', { start: 'throw new Error("cannot reach mongodb://admin:hunter22@db/");' })]),
    );
    expect(fault!.message).not.toContain('hunter22');
  });
});

describe('a start that is given up', () => {
  it('disposes what was created and starts nothing more', async () => {
    const stop = new AbortController();
    const entries = [add('store', 'sqlite'), add('audit', 'optional', { start: 'await new Promise(() => {});' }), add('auth', 'apikey')];
    const starting = start([entries[0]!, { ...entries[1]!, required: false }, entries[2]!], { signal: stop.signal });
    const watching = setInterval(() => told('start').includes('optional') && stop.abort(), 5);
    const [fault] = await faultsOf(starting).finally(() => clearInterval(watching));
    expect(fault!.code).toBe('cancelled');
    expect(told('dispose')).toEqual(['optional', 'sqlite']);
    expect(told('create')).toEqual(['sqlite', 'optional']);
  });
});

describe('an audit sink that fails to start', () => {
  const broken = () => add('audit', 'remote', { start: 'throw new Error("no route");', dispose: 'throw new Error("again");' });

  it.each([true, undefined])('stops the start when required is %s', async (required) => {
    const sink = { ...broken(), ...(required === undefined ? {} : { required }) };
    expect((await faultsOf(start([add('store', 'sqlite'), sink])))[0]!.message).toContain('no route');
  });

  it('is left out with a loud warning when it is marked as not required', async () => {
    const { log, lines } = memoryLog();
    const started = await start([add('store', 'sqlite'), { ...broken(), required: false }, add('auth', 'apikey')], { log });
    expect(started.sinks).toEqual([]);
    expect(started.skipped).toMatchObject([{ name: 'remote', error: { code: 'plugin_failed' } }]);
    expect(lines.filter(({ level }) => level === 'warn')[0]!.message).toMatch(/AUDIT SINK "remote" IS LEFT OUT/);
    expect(told('dispose')).toEqual(['remote']);
    await started[Symbol.asyncDispose]();
    expect(told('dispose')).toEqual(['remote', 'apikey', 'sqlite']);
  });

  it.each(['store', 'auth', 'stream', 'transport'] as const)('is the only thing that may be left out: a %s never is', async (kind) => {
    const store = add('store', 'sqlite');
    const plugin = { ...add(kind, 'broken', { start: 'throw new Error("no");' }), required: false };
    expect(await faultsOf(start(kind === 'store' ? [plugin] : [store, plugin]))).toHaveLength(1);
  });
});

describe('the stop', () => {
  it('reaches every plugin whatever the others do, and reports every fault', async () => {
    const entries = [
      add('store', 'sqlite'),
      add('audit', 'throws', { dispose: 'throw new Error("one");' }),
      add('auth', 'hangs', { dispose: 'await new Promise(() => {});' }),
      add('auth', 'bare', { create: '() => ({ authenticate() {} })' }),
      add('stream', 'throws-at-once', {
        create: `() => Object.assign(${tellingInstance('throws-at-once')}, { [Symbol.asyncDispose]() { throw new Error('two'); } })`,
      }),
    ];
    const started = await start(entries, { disposeDeadlineMs: 50 });
    const faults = await faultsOf(started[Symbol.asyncDispose]());
    expect(faults.map(({ code }) => code)).toEqual(['plugin_failed', 'plugin_timeout', 'plugin_failed']);
    expect(faults.map(({ message }) => /two|did not stop within 0.05 s|one/.exec(message)?.[0])).toEqual([
      'two',
      'did not stop within 0.05 s',
      'one',
    ]);
    expect(told('dispose')).toEqual(['hangs', 'throws', 'sqlite']);
  });

  it('keeps the error of the class that callers know', async () => {
    const started = await start([add('store', 'sqlite', { dispose: 'throw new Error("x");' })]);
    const error: unknown = await started[Symbol.asyncDispose]().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TowlineError);
  });
});
