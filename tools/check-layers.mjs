// Fails on an import or dependency that the table of packages below does not allow.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const streamHalf = (half) => ['shell', 'exec', 'files', 'forward'].map((name) => `@towline/stream-${name}/${half}`);

/** What each package may import of ours, and which of others' packages and Node modules it must not. */
const PACKAGES = {
  'core/protocol': { ours: [], never: ['node:net', 'node:fs', 'node:tls', 'node:http', 'node:https', 'node:dgram', 'node:child_process'] },
  'core/contract': { ours: ['@towline/protocol'], external: [] },
  'core/link': { ours: ['@towline/protocol', '@towline/contract'] },
  'core/process': { ours: ['@towline/protocol', '@towline/contract'] },
  'core/kernel': {
    ours: ['@towline/protocol', '@towline/contract', '@towline/contract/system-scope', '@towline/link', '@towline/config/*'],
  },
  'core/conformance': { ours: ['@towline/protocol', '@towline/contract', '@towline/contract/system-scope'] },
  'core/relay': {
    ours: ['@towline/protocol', '@towline/contract', '@towline/kernel', '@towline/config/*', '@towline/auth-basic/password'],
  },
  config: { ours: ['@towline/protocol', '@towline/contract'] },
  agent: {
    ours: [
      '@towline/protocol',
      '@towline/contract',
      '@towline/link',
      '@towline/config/*',
      '@towline/transport-tls/dial',
      '@towline/transport-quic/dial',
      '@towline/process',
      ...streamHalf('device'),
    ],
    never: ['fastify', 'better-sqlite3', 'mongodb'],
  },
  cli: {
    ours: [
      '@towline/protocol',
      '@towline/contract',
      '@towline/link',
      '@towline/config/*',
      '@towline/transport-tls/dial',
      '@towline/transport-quic/dial',
      '@towline/process',
      '@towline/agent',
      ...streamHalf('cli'),
    ],
    never: ['fastify', 'better-sqlite3', 'mongodb'],
  },
};
const PLUGIN = ['@towline/protocol', '@towline/protocol/plain', '@towline/contract', '@towline/link'];
/** Only the kernel, stores, the suite for stores, and auth plugins that look up a credential before anybody is known may stand for the relay itself. */
const SYSTEM_SCOPE_USERS = ['core/kernel', 'core/conformance', 'plugins/store-', 'plugins/auth-'];

const faults = [];
for (const folder of [...foldersIn('core'), ...foldersIn('plugins'), 'config', 'agent', 'cli']) checkPackage(folder);
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}

function checkPackage(folder) {
  const rule = PACKAGES[folder] ?? (folder.startsWith('plugins/') ? pluginRule(folder) : undefined);
  if (rule === undefined) return faults.push(`${folder}: not in the table of tools/check-layers.mjs`);
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }));
  for (const file of sourcesOf(folder)) {
    for (const name of importsOf(readFileSync(join(root, file), 'utf8')))
      checkImport({ file, folder, rule, declared, name, self: manifest.name });
  }
}

function foldersIn(parent) {
  const names = readdirSync(join(root, parent));
  return names.map((name) => `${parent}/${name}`).filter((folder) => existsSync(join(root, folder, 'package.json')));
}

function sourcesOf(folder) {
  const names = readdirSync(join(root, folder, 'src'), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/src/${name}`);
}

function pluginRule(folder) {
  const ours = [...PLUGIN];
  if (SYSTEM_SCOPE_USERS.some((user) => folder.startsWith(user))) ours.push('@towline/contract/system-scope');
  if (folder.startsWith('plugins/stream-')) ours.push('@towline/process', '@towline/process/client');
  return { ours };
}

function checkImport({ file, folder, rule, declared, name, self }) {
  if (rule.never?.includes(name)) return faults.push(`${file}: must not import ${name}`);
  if (name.startsWith('node:')) return;
  if (builtinModules.includes(name)) return faults.push(`${file}: write node:${name}`);
  const bare = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : name.split('/')[0];
  if (bare === self) return faults.push(`${file}: imports its own package by name`);
  if (!declared.has(bare)) faults.push(`${file}: imports ${bare}, which ${folder}/package.json does not name`);
  if (name.startsWith('@towline/')) {
    const allowed = rule.ours.some((entry) => entry === name || (entry.endsWith('/*') && name.startsWith(entry.slice(0, -1))));
    if (!allowed) faults.push(`${file}: ${folder} may not import ${name}`);
    if (name.endsWith('/system-scope') && !SYSTEM_SCOPE_USERS.some((user) => folder.startsWith(user)))
      faults.push(`${file}: only stores and the kernel may import ${name}`);
  } else if (rule.external !== undefined && !rule.external.includes(bare)) faults.push(`${file}: ${folder} may not depend on ${bare}`);
}

function importsOf(text) {
  const names = new Set();
  for (const match of text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|import\('([^']+)'\)/g,
  ))
    names.add(match[1] ?? match[2] ?? match[3]);
  return [...names].filter((name) => !name.startsWith('.'));
}
