// `npm run bench` runs every benchmark of bench/, `npm run bench -- NAME [ARGUMENT]...` one of them.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', 'bench');
const all = readdirSync(folder)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.slice(0, -4));
const wanted = process.argv[2] === undefined ? all : [process.argv[2]];
const unknown = wanted.find((name) => !all.includes(name));
if (unknown !== undefined) {
  console.error(`no benchmark ${unknown}; there are: ${all.join(', ')}`);
  process.exit(2);
}
const failed = wanted.filter((name) => {
  console.log(`\n# ${name}`);
  return spawnSync(process.execPath, [join(folder, `${name}.mjs`), ...process.argv.slice(3)], { stdio: 'inherit' }).status !== 0;
});
process.exit(failed.length === 0 ? 0 : 1);
