import { statSync } from 'node:fs';
import { join } from 'node:path';

/** Conditions under which a plugin is imported, by https://nodejs.org/api/packages.html#conditional-exports. */
const CONDITIONS: ReadonlySet<string> = new Set(['node', 'import', 'module-sync', 'default']);

/**
 * File behind `.` or `./sub` of a package, as its `exports` (or `main`) say and as Node would import it; null when there
 * is none. Patterns in `exports` are not looked at. The file lies inside of the package folder.
 */
export function resolveExport(folder: string, packageJson: Readonly<Record<string, unknown>>, name: string): string | null {
  const target = 'exports' in packageJson ? findTarget(packageJson.exports, name) : legacyTarget(packageJson, name);
  if (target === null || !/^\.\/./.test(target) || /(?:^|\/|\\)(?:\.\.|node_modules)(?:\/|\\|$)/.test(target)) return null;
  const file = join(folder, target);
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? file : null;
}

function findTarget(exported: unknown, name: string): string | null {
  const hasPaths = isRecord(exported) && Object.keys(exported).some((key) => key.startsWith('.'));
  if (!hasPaths) return name === '.' ? chooseTarget(exported) : null;
  return Object.hasOwn(exported, name) ? chooseTarget(exported[name]) : null;
}

/** The first condition that holds decides, as in Node: order is that of package.json. */
function chooseTarget(target: unknown): string | null {
  if (typeof target === 'string') return target;
  if (Array.isArray(target)) return target.map(chooseTarget).find((chosen) => chosen !== null) ?? null;
  if (!isRecord(target)) return null;
  for (const [condition, value] of Object.entries(target)) {
    const chosen = CONDITIONS.has(condition) ? chooseTarget(value) : null;
    if (chosen !== null) return chosen;
  }
  return null;
}

function legacyTarget(packageJson: Readonly<Record<string, unknown>>, name: string): string | null {
  if (name !== '.') return name;
  const main = typeof packageJson.main === 'string' ? packageJson.main : 'index.js';
  return main.startsWith('./') ? main : `./${main}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
