import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bin, type Finished, type Program, type ProgramOptions, runProgram, STEP_MS, startProgram } from './process.ts';

/** A running relay. */
export interface TestRelay extends AsyncDisposable {
  readonly program: Program;
  readonly dir: string;
  readonly url: string;
  readonly port: number;
  readonly fingerprint: string;
  /** Key of the first admin. */
  readonly adminKey: string;
}

/** A running device runtime. */
export interface TestDevice extends AsyncDisposable {
  readonly program: Program;
  readonly dir: string;
  readonly name: string;
  /** The next event of that name that was not taken yet. Rejects when the runtime ends before. */
  event(name: string): Promise<Record<string, unknown>>;
}

/** Relay, runtimes and command line, as real processes in a folder of their own. */
export interface TestSystem extends AsyncDisposable {
  readonly dir: string;
  /** Everything any program wrote, for tests that look for secrets. */
  readonly output: () => string;
  startRelay(options?: {
    readonly config?: string;
    readonly port?: number;
    readonly env?: ProgramOptions['env'];
    readonly args?: readonly string[];
  }): Promise<TestRelay>;
  /** Starts a runtime that asks for enrolment or is enrolled already (same `name`: same folder). */
  startDevice(relay: TestRelay, options?: DeviceOptions): TestDevice;
  /** Starts a runtime and approves it. */
  enrolDevice(relay: TestRelay, options?: DeviceOptions): Promise<TestDevice>;
  /** Runs `towline` as the admin, or with `key`. */
  towline(relay: TestRelay, args: readonly string[], options?: TowlineOptions): Promise<Finished>;
  /** Starts `towline` and leaves it running. */
  startTowline(relay: TestRelay, args: readonly string[], options?: TowlineOptions): Program;
  /** Runs `towline-relay COMMAND` on the relay's data. */
  rescue(relay: TestRelay, args: readonly string[]): Promise<Finished>;
}

/** How a runtime is started. */
export interface DeviceOptions {
  readonly name?: string;
  readonly email?: string;
  readonly org?: string;
  readonly args?: readonly string[];
  readonly env?: ProgramOptions['env'];
  /** Program and words that start what follows them, as `unshare --mount` does. */
  readonly through?: readonly string[];
}

/** How `towline` is run. */
export interface TowlineOptions extends ProgramOptions {
  readonly key?: string;
  readonly deadlineMs?: number;
}

/** Makes an empty system. */
export function createSystem(): TestSystem {
  const dir = mkdtempSync(join(tmpdir(), 'towline-test-'));
  const programs: Program[] = [];
  const keep = (program: Program) => {
    programs.push(program);
    return program;
  };
  let users = 0;
  let relays = 0;
  const userEnv = (relay: TestRelay, { key, env }: TowlineOptions) => ({
    TOWLINE_RELAY: relay.url,
    TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
    TOWLINE_API_KEY: key ?? relay.adminKey,
    TOWLINE_CONFIG_DIR: join(dir, `user-${(users += 1)}`),
    ...env,
  });
  const system: TestSystem = {
    dir,
    output: () => programs.map((program) => program.stdout + program.stderr).join('\n'),
    async startRelay({ config, port = 0, env, args = [] } = {}) {
      const data = join(dir, config === undefined ? `relay-${(relays += 1)}` : 'relay-configured');
      return startRelayAt(keep, {
        data,
        args: [...(config === undefined ? [] : ['--config', config]), '--port', String(port), ...args],
        env,
      });
    },
    startDevice(relay, options = {}) {
      const name = options.name ?? 'pi';
      const owner = options.org === undefined ? ['--email', options.email ?? 'admin@example.com'] : ['--org', options.org];
      const root = process.getuid?.() === 0 ? ['--run-as', 'root'] : [];
      const args = [
        'run',
        '--relay',
        relay.url,
        '--fingerprint',
        relay.fingerprint,
        ...owner,
        '--name',
        name,
        '--json',
        ...root,
        ...(options.args ?? []),
      ];
      const deviceDir = join(dir, `device-${name}`);
      const [file = '', ...before] = [...(options.through ?? []), bin('towline-agent')];
      const program = keep(startProgram(file, [...before, ...args], { env: { TOWLINE_CONFIG_DIR: deviceDir, ...options.env } }));
      return { program, dir: deviceDir, name, event: createEvents(program), [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
    },
    async enrolDevice(relay, options = {}) {
      const device = system.startDevice(relay, options);
      const { request } = await device.event('waiting');
      const approved = await system.towline(relay, ['devices', 'approve', String(request)]);
      if (approved.code !== 0) throw new Error(`not approved: ${approved.stderr}`);
      await device.event('online');
      return device;
    },
    towline: (relay, args, options = {}) => {
      const { deadlineMs = STEP_MS, key: _key, env: _env, ...rest } = options;
      return runProgram(bin('towline'), args, { ...rest, deadlineMs, env: userEnv(relay, options) });
    },
    startTowline: (relay, args, options = {}) => keep(startProgram(bin('towline'), args, { ...options, env: userEnv(relay, options) })),
    rescue: (relay, args) => runProgram(bin('towline-relay'), [...args, '--data', relay.dir]),
    async [Symbol.asyncDispose]() {
      for (const program of programs.toReversed()) await program[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return system;
}

async function startRelayAt(
  keep: (program: Program) => Program,
  { data, args, env }: { readonly data: string; readonly args: readonly string[]; readonly env: ProgramOptions['env'] },
): Promise<TestRelay> {
  const program = keep(startProgram(bin('towline-relay'), ['start', '--data', data, '--host', '127.0.0.1', ...args], { env: env ?? {} }));
  const [, url = '', fingerprint = ''] = await program.saw(/^ready url=(\S+)(?: fingerprint=(\S+))?$/m);
  const adminKey = readFileSync(join(data, 'admin.key'), 'utf8').trim();
  return {
    program,
    dir: data,
    url,
    port: Number(new URL(url).port),
    fingerprint,
    adminKey,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Takes the events a runtime prints, one JSON object a line, in order. */
function createEvents(program: Program): TestDevice['event'] {
  let taken = 0;
  return async (name) => {
    const line = new RegExp(`^\\{"event":"${name}".*\\}$`, 'gm');
    const next = {
      exec: (text: string) => {
        line.lastIndex = taken;
        return line.exec(text);
      },
    } as RegExp;
    const match = await program.saw(next);
    taken = match.index + match[0].length;
    return JSON.parse(match[0]) as Record<string, unknown>;
  };
}

/** Waits until something is true, looking again a few times a second. For what no event tells. */
export async function eventually<Value>(
  look: () => Promise<Value | undefined | null | false>,
  what: string,
  deadlineMs: number = STEP_MS,
): Promise<Value> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > until) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((later) => setTimeout(later, 50));
  }
}
