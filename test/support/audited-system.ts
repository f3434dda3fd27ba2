import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '@towline/contract';
import type { Finished } from './process.ts';
import { startRelayOn } from './relay-process.ts';
import { storedTrail } from './stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './system.ts';

/** Scope of the device. */
export const OWNER = 'user:owner@example.com';
/** People with different rights on the device. */
export type Person = 'owner' | 'operator' | 'viewer' | 'stranger';

/** A relay with a trail in its store and in a file, a device `pi` of {@link OWNER}, and four people. */
export interface AuditedSystem extends AsyncDisposable {
  readonly system: TestSystem;
  readonly relay: TestRelay;
  readonly device: TestDevice;
  readonly deviceId: string;
  readonly keys: Readonly<Record<Person, { readonly id: string; readonly key: string }>>;
  /** Path of the file sink. */
  readonly file: string;
  /** Runs `towline` as the owner, or with another key. */
  run(words: readonly string[], key?: string, stdin?: string): Promise<Finished>;
  /** Makes a key by the rescue command. */
  createKey(...args: string[]): Promise<{ readonly id: string; readonly key: string }>;
  trail(): AuditRecord[];
  /** Both records of the last session whose opened one is meant, when they are there. */
  recordsOf(meant: (opened: AuditRecord) => boolean): Promise<[opened: AuditRecord, closed: AuditRecord]>;
}

/** Starts it. */
export async function openAuditedSystem(): Promise<AuditedSystem> {
  const system = createSystem();
  const dir = join(system.dir, 'config');
  mkdirSync(dir);
  writeFileSync(join(dir, 'towline.yaml'), 'audit: { sinks: [{ use: file, path: audit.jsonl, required: true }] }\n');
  const relay = await startRelayOn(join(system.dir, 'relay'), { config: join(dir, 'towline.yaml') });
  const device = await system.enrolDevice(relay, { email: 'owner@example.com' });
  const createKey: AuditedSystem['createKey'] = async (...args) => {
    const { code, stdout, stderr } = await system.rescue(relay, ['keys', 'create', '--json', ...args]);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as { id: string; key: string };
  };
  const keys = {
    owner: await createKey('--email', 'owner@example.com', '--name', 'key of the owner'),
    operator: await createKey('--email', 'operator@example.com', '--scope', OWNER, '--role', 'operator'),
    viewer: await createKey('--email', 'viewer@example.com', '--scope', OWNER, '--role', 'viewer'),
    stranger: await createKey('--email', 'stranger@example.com'),
  };
  const trail = () => storedTrail(relay.dir);
  return {
    system,
    relay,
    device,
    deviceId: (JSON.parse(readFileSync(join(device.dir, 'device.json'), 'utf8')) as { device_id: string }).device_id,
    keys,
    file: join(dir, 'audit.jsonl'),
    run: (words, key = keys.owner.key, stdin) => system.towline(relay, words, { key, ...(stdin === undefined ? {} : { stdin }) }),
    createKey,
    trail,
    recordsOf: (meant) =>
      eventually(async () => {
        const records = trail();
        const opened = records.findLast((record) => record.action === 'session.opened' && meant(record));
        const closed = records.find((record) => record.action === 'session.closed' && record.session === opened?.session);
        return opened && closed && [opened, closed];
      }, 'the session is opened and closed in the trail'),
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await system[Symbol.asyncDispose]();
    },
  };
}
