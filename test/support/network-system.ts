import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { inside } from './network-commands.ts';
import { bin, type Finished, type Program, type ProgramOptions, runProgram, STEP_MS, startProgram } from './process.ts';
import { eventually } from './system.ts';

/** The port of every relay here: each is alone in its network. */
export const RELAY_PORT = 8085;
const NAME = 'pi';

/** Where relay, users and device stand. */
export interface SystemPlaces {
  /** Namespace of the relay and its users. */
  readonly relay: string;
  readonly device: string;
  /** Address of the relay in its namespace. */
  readonly address: string;
}

/** What a runtime said of its state, one line of --json. */
export interface StateEvent {
  readonly event: 'waiting' | 'enrolled' | 'online' | 'offline' | 'stopped';
  readonly request?: string;
  readonly transport?: string;
  readonly note?: string;
  readonly code?: string;
  readonly message?: string;
  readonly retry_ms?: number;
}

/** A runtime in its namespace. */
export interface NetworkDevice extends AsyncDisposable {
  readonly program: Program;
  /** Folder of its files. */
  readonly dir: string;
  /** What it said so far. */
  events(): readonly StateEvent[];
  /** The first event after those that a test has seen, `seen` of them, that is what it waits for. */
  next(seen: number, wanted: Partial<StateEvent>, deadlineMs?: number): Promise<StateEvent>;
  /** Answer of `runtime status --json`. */
  status(): Promise<{ readonly state: string; readonly transport: string | null; readonly note: string | null }>;
}

/** How a runtime is started. */
export interface NetworkDeviceOptions {
  /** Further words of `towline-agent run`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** How the device calls the relay, when not by its address; trusted by `fingerprint`. */
  readonly url?: string;
  readonly fingerprint?: string;
}

/** A relay, its users and one device, as real processes in namespaces. */
export interface NetworkSystem extends AsyncDisposable {
  readonly dir: string;
  readonly url: string;
  readonly fingerprint: string;
  readonly relay: Program;
  /** Starts the device's runtime and has it approved if it asks. Resolves once it is online. */
  startDevice(options?: NetworkDeviceOptions): Promise<NetworkDevice>;
  /** Starts the device's runtime and waits for nothing. */
  beginDevice(options?: NetworkDeviceOptions): NetworkDevice;
  towline(words: readonly string[], options?: ProgramOptions & { readonly deadlineMs?: number }): Promise<Finished>;
  startTowline(words: readonly string[], options?: ProgramOptions): Program;
  /** Answer of `devices show --json`. */
  show(): Promise<DeviceView>;
  /** The link of that, which must be there. */
  link(): Promise<NonNullable<DeviceView['link']>>;
}

/** Starts a relay in its namespace. `config`: further lines of its configuration. */
export async function startNetworkSystem(
  { relay: relaySpace, device: deviceSpace, address }: SystemPlaces,
  config = '',
): Promise<NetworkSystem> {
  const dir = mkdtempSync(join(tmpdir(), 'towline-network-'));
  const programs: Program[] = [];
  const start = (...command: Parameters<typeof startProgram>) => {
    const program = startProgram(...command);
    programs.push(program);
    return program;
  };
  const dispose = async () => {
    for (const program of programs.toReversed()) await program[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const file = join(dir, 'relay.yaml');
    writeFileSync(file, `server:\n  host: ${address}\n  port: ${RELAY_PORT}\n${config}`);
    const data = join(dir, 'relay');
    const relay = start(...inside(relaySpace, bin('towline-relay'), ['start', '--config', file, '--data', data]));
    const [, url = '', fingerprint = ''] = await relay.saw(/^ready url=(\S+) fingerprint=(\S+)$/m);
    const env = {
      TOWLINE_RELAY: url,
      TOWLINE_TLS_FINGERPRINT: fingerprint,
      TOWLINE_API_KEY: readFileSync(join(data, 'admin.key'), 'utf8').trim(),
      TOWLINE_CONFIG_DIR: join(dir, 'user'),
    };
    const towline: NetworkSystem['towline'] = (words, options = {}) =>
      runProgram(...inside(relaySpace, bin('towline'), words), { deadlineMs: STEP_MS, ...options, env: { ...env, ...options.env } });
    const show = async () => {
      const { stdout, stderr } = await towline(['devices', 'show', NAME, '--json']);
      if (stdout === '') throw new Error(stderr);
      return JSON.parse(stdout) as DeviceView;
    };
    const beginDevice: NetworkSystem['beginDevice'] = (options = {}) => {
      const trust = ['--relay', options.url ?? url, '--fingerprint', options.fingerprint ?? fingerprint];
      const words = [
        'run',
        ...trust,
        '--email',
        'admin@example.com',
        '--name',
        NAME,
        '--run-as',
        'root',
        '--json',
        ...(options.args ?? []),
      ];
      const folder = join(dir, 'device');
      const own = { TOWLINE_CONFIG_DIR: folder, ...options.env };
      return watchDevice(start(...inside(deviceSpace, bin('towline-agent'), words), { env: own }), { folder, space: deviceSpace });
    };
    return {
      dir,
      url,
      fingerprint,
      relay,
      towline,
      startTowline: (words, options = {}) =>
        start(...inside(relaySpace, bin('towline'), words), { ...options, env: { ...env, ...options.env } }),
      show,
      async link() {
        const { link } = await show();
        if (link === null) throw new Error('The device has no link.');
        return link;
      },
      beginDevice,
      async startDevice(options) {
        const device = beginDevice(options);
        const first = await eventually(
          async () => device.events().find(({ event }) => event === 'waiting' || event === 'online'),
          'the device asks for its enrolment, or is online',
        ).catch((error: Error) => {
          throw new Error(`${error.message}\n${device.program.stdout}${device.program.stderr}`);
        });
        if (first.request !== undefined) {
          const approved = await towline(['devices', 'approve', first.request]);
          if (approved.code !== 0) throw new Error(`not approved: ${approved.stderr}`);
        }
        await device.next(0, { event: 'online' });
        return device;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function watchDevice(program: Program, { folder, space }: { readonly folder: string; readonly space: string }): NetworkDevice {
  const events = () => {
    const whole = program.stdout.slice(0, program.stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as StateEvent);
  };
  return {
    program,
    dir: folder,
    events,
    async next(seen, wanted, deadlineMs = STEP_MS) {
      const isWanted = (event: StateEvent) => Object.entries(wanted).every(([key, value]) => event[key as keyof StateEvent] === value);
      const what = `the device says ${JSON.stringify(wanted)}`;
      return eventually(async () => events().slice(seen).find(isWanted), what, deadlineMs).catch((error: Error) => {
        throw new Error(`${error.message}\n${program.stdout}${program.stderr}`);
      });
    },
    async status() {
      const asked = await runProgram(...inside(space, bin('towline-agent'), ['status', '--json']), { env: { TOWLINE_CONFIG_DIR: folder } });
      return JSON.parse(asked.stdout);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
