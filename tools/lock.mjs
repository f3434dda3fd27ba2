// Writes package-lock.json anew, from the manifests alone. For maintainers, after a change of dependencies.
//
// Two things make a plain `npm install` wrong here. With node_modules present npm locks only the platform packages it
// finds there. And a registry mirror may lack platform packages of other systems; npm then leaves them out, and
// `npm ci` refuses the lock. Those are named below and added without a hash: npm fetches one only on its own platform.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** name, version, operating system, processor */
const OTHER_PLATFORMS = [
  ['@infisical/quic-linux-arm', '1.0.8', 'linux', 'arm'],
  ['@infisical/quic-linux-arm64', '1.0.8', 'linux', 'arm64'],
  ['@matrixai/quic-darwin-arm64', '2.0.9', 'darwin', 'arm64'],
  ['@matrixai/quic-darwin-universal', '2.0.9', 'darwin', 'x64'],
  ['@matrixai/quic-darwin-x64', '2.0.9', 'darwin', 'x64'],
  ['@matrixai/quic-win32-x64', '2.0.9', 'win32', 'x64'],
];

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'towline-lock-'));
try {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*package.json', '*/bin/*'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of listed.trim().split('\n')) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  cpSync(join(root, 'package-lock.json'), join(folder, 'package-lock.json'));
  execFileSync('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  for (const [name, version, os, cpu] of OTHER_PLATFORMS) {
    lock.packages[`node_modules/${name}`] ??= { version, cpu: [cpu], license: 'Apache-2.0', optional: true, os: [os] };
  }
  const [self, ...rest] = Object.entries(lock.packages);
  lock.packages = Object.fromEntries([self, ...rest.sort(([one], [other]) => (one < other ? -1 : 1))]);
  writeFileSync(join(root, 'package-lock.json'), `${JSON.stringify(lock, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
