import type { TestRelay, TestSystem } from './system.ts';

/** A key made by the rescue command. */
export interface TestKey {
  readonly id: string;
  readonly key: string;
}

/** Makes a key beside the running relay; `args` as for `towline-relay keys create`. */
export async function createKey(system: TestSystem, relay: TestRelay, args: readonly string[]): Promise<TestKey> {
  const { code, stdout, stderr } = await system.rescue(relay, ['keys', 'create', '--json', ...args]);
  if (code !== 0) throw new Error(`no key was made: ${stderr}`);
  return JSON.parse(stdout) as TestKey;
}
