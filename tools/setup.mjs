// Installs and builds when needed. Plain JavaScript: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'node_modules', '.towline-installed');
const run = (file, args, env = {}) => {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...env } });
  if (status === 0) return;
  console.error(`setup failed: ${file} ${args.join(' ')}${error ? `: ${error.message}` : ''}`);
  process.exit(1);
};

/** Node's own headers, where the system has those of the running version: then node-gyp downloads nothing. */
function headersOnThisMachine() {
  const header = '/usr/include/node/node_version.h';
  if (!existsSync(header)) return {};
  const text = readFileSync(header, 'utf8');
  const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
  const version = `v${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
  return version === process.version ? { npm_config_nodedir: '/usr' } : {};
}

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(process.version)
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  run('npm', ['ci', '--no-audit', '--no-fund'], headersOnThisMachine());
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, wanted);
}
run(join(root, 'node_modules', '.bin', 'tsc'), ['-b']);
