// Format, lint, types of sources and tests, layers, docs. Runs all, then says which failed.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const checks = [
  ['format and lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['types', bin('tsc'), ['-b']],
  ['types of tests', bin('tsc'), ['-p', 'tsconfig.test.json']],
  ['layers', process.execPath, ['tools/check-layers.mjs']],
  ['docs', process.execPath, ['tools/check-docs.mjs']],
];
const failed = checks.filter(([name, file, args]) => {
  console.log(`check: ${name}`);
  return spawnSync(file, args, { cwd: root, stdio: 'inherit' }).status !== 0;
});
if (failed.length > 0) {
  console.error(`check failed: ${failed.map(([name]) => name).join(', ')}`);
  process.exit(1);
}
