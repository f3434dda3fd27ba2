import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT, runProgram } from '../../../test/support/process.ts';
import { storeCases } from '../src/store/cases.ts';

/** npm looks at every file of what it packs and installs, and the machine may be busy. */
const INSTALL_MS = 60_000;
const OURS = ['protocol', 'contract', 'conformance'] as const;
const THIRD_PARTY = join(import.meta.dirname, 'third-party');

let dir: string;
/** Where somebody outside works: no folder above it has packages. */
let place: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'towline-packed-'));
  place = join(dir, 'their-store');
  mkdirSync(place);
  // What ours depend on is packed as it lies here, so that nothing has to be fetched.
  const folders = [...OURS.map((name) => join(ROOT, 'core', name)), join(ROOT, 'node_modules', 'zod')];
  await npm(ROOT, 'pack', '--pack-destination', dir, ...folders);
  const packed = readdirSync(dir).filter((name) => name.endsWith('.tgz'));
  expect(packed).toHaveLength(folders.length);
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name: 'their-store', version: '1.0.0', type: 'module' }));
  await npm(place, 'install', '--no-audit', '--no-fund', ...packed.map((name) => join(dir, name)));
  cpSync(THIRD_PARTY, place, { recursive: true });
}, INSTALL_MS * 2);
afterAll(() => rmSync(dir, { recursive: true }));

async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  // A cache of its own, which is empty: whatever were missing would fail, not come from an earlier installation.
  const env = { npm_config_cache: join(dir, 'cache'), npm_config_offline: 'true', npm_config_ignore_scripts: 'true' };
  const finished = await runProgram('npm', args, { cwd, env, deadlineMs: INSTALL_MS });
  if (finished.code !== 0) throw new Error(`npm ${args[0]} failed:\n${finished.stderr}`);
}

it(
  'the packed suite runs on a store of somebody else, by the test runner of Node, without vitest',
  async () => {
    expect(readdirSync(join(place, 'node_modules', '@towline')).sort()).toEqual([...OURS].sort());
    expect(readdirSync(join(place, 'node_modules'))).not.toContain('vitest');
    const args = ['--test', '--test-reporter=tap', 'small-store.test.mjs'];
    const { code, stdout } = await runProgram(process.execPath, args, { cwd: place, deadlineMs: INSTALL_MS });
    const failures = stdout.split('\n').filter((line) => /^\s*not ok/.test(line));
    expect(failures).toEqual([]);
    expect(code).toBe(0);
    expect(stdout).toContain(`# pass ${storeCases.length}\n`);
    expect(stdout).toContain('# skipped 0\n');
  },
  INSTALL_MS,
);

it(
  'the packed suite finds a store that breaks a promise',
  async () => {
    const broken = join(place, 'broken');
    mkdirSync(broken);
    cpSync(join(place, 'small-store.test.mjs'), join(broken, 'small-store.test.mjs'));
    writeFileSync(
      join(broken, 'small-store.mjs'),
      `import { openSmallStore as open } from '../small-store.mjs';
     export const openSmallStore = (file) => {
       const store = open(file);
       return { ...store, keys: { ...store.keys, spend: async (id) => (await store.keys.spend(id)) || true } };
     };`,
    );
    const args = ['--test', '--test-reporter=tap', 'small-store.test.mjs'];
    const { code, stdout } = await runProgram(process.execPath, args, { cwd: broken, deadlineMs: INSTALL_MS });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^not ok \d+ - keys: each spending takes one use, until none is left$/m);
    expect(stdout).toContain("code: 'ERR_ASSERTION'");
  },
  INSTALL_MS,
);

it(
  'the packed packages have types that a strict program compiles with',
  async () => {
    writeFileSync(
      join(place, 'typed.ts'),
      `import { type MakeStore, type StoreHandle, sampleDevice, storeCases } from '@towline/conformance/store-cases';
     import { type Store, storeRecordFault } from '@towline/contract';
     import { TowlineError } from '@towline/protocol';
     export const names: readonly string[] = storeCases.map(({ name }) => name);
     export const makeStore: MakeStore = async (): Promise<StoreHandle> => {
       const store: Store = {} as Store;
       const fault: string | null = storeRecordFault({ kind: 'device', value: sampleDevice(1) });
       if (fault !== null) throw new TowlineError('internal', fault);
       return { store, reopen: async () => store, dispose: async () => {} };
     };`,
    );
    const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2023'];
    const types = ['--lib', 'es2023,esnext.disposable', '--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types')];
    const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
    const finished = await runProgram(tsc, [...options, ...types, 'typed.ts'], { cwd: place, deadlineMs: INSTALL_MS });
    expect(finished).toMatchObject({ code: 0, stdout: '' });
  },
  INSTALL_MS,
);

it('a packed package holds what was built, its readme and nothing else', () => {
  const files = (name: string) => readdirSync(join(place, 'node_modules', '@towline', name), { recursive: true }).map(String);
  for (const name of OURS) expect(files(name).filter((path) => /(^|\/)(src|test|\.tsbuildinfo)$|\.map$/.test(path))).toEqual([]);
  expect(files('conformance')).toContain('README.md');
});
