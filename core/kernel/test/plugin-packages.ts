import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PluginKind } from '@towline/contract';
import type { PluginEntry, PluginSources } from '../src/plugins/index.ts';

const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/** A plugin package to be written. */
export interface PackageText {
  /** The `towline` entry of package.json; left out: fits `kind` and `name`. Null: none. */
  readonly manifest?: unknown;
  readonly kind?: PluginKind;
  readonly name?: string;
  /** Text of the module. */
  readonly source?: string;
  /** What else package.json says. */
  readonly json?: Readonly<Record<string, unknown>>;
}

/** Source of a plugin; each part can be replaced. */
export function pluginSource(parts: {
  readonly kind: string;
  readonly name: string;
  readonly options?: string;
  readonly needs?: string;
  readonly instance?: string;
  readonly create?: string;
  readonly before?: string;
}): string {
  const create =
    parts.create ??
    `(options, host) => (${parts.instance ?? '{ write: async () => {}, authenticate: async () => ({ outcome: "skipped" }) }'})`;
  return `import { definePlugin } from '@towline/contract';
import { z } from 'zod';
globalThis.towlineTestEvents?.push('import ${parts.name}');
${parts.before ?? ''}
export const plugin = definePlugin({
  kind: ${JSON.stringify(parts.kind)}, name: ${JSON.stringify(parts.name)},
  options: ${parts.options ?? 'z.strictObject({})'}, needs: ${parts.needs ?? '[]'}, create: ${create},
});
`;
}

/** Instance of a plugin that tells its life to `globalThis.towlineTestEvents`. */
export function tellingInstance(
  name: string,
  more: { readonly start?: string; readonly dispose?: string; readonly members?: string } = {},
): string {
  const members =
    more.members ??
    `devices: {}, registrations: {}, keys: {}, sessions: {}, audit: {}, revocations: {}, meta: {}, secrets: {},
     ping: async () => {}, async *export() {}, import: async () => {},
     write: async () => {}, authenticate: async () => ({ outcome: 'skipped' }), protocol: '/x/1', body: {}, right: 'viewer', prepare: () => ({}),`;
  return `{ ${members}
    async start(signal) { globalThis.towlineTestEvents.push('start ${name}'); ${more.start ?? ''} },
    async [Symbol.asyncDispose]() { globalThis.towlineTestEvents.push('dispose ${name}'); ${more.dispose ?? ''} } }`;
}

/** A relay and a config, each in a folder of its own, with packages installed beside them. */
export class PackageFolder implements Disposable {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'towline-plugins-')));
  readonly relay = join(this.root, 'relay');
  readonly config = join(this.root, 'etc', 'towline');
  readonly #names: string[] = [];

  constructor() {
    for (const folder of [this.root, this.relay, this.config]) mkdirSync(join(folder, 'node_modules'), { recursive: true });
    for (const name of ['@towline', 'zod']) symlinkSync(join(MODULES, name), join(this.root, 'node_modules', name));
  }

  /** Installs a package beside the relay, as a part of the distribution. */
  addStandard(name: string, text: PackageText): void {
    this.write(join(this.relay, 'node_modules', name), name, text);
    this.#names.push(name);
  }

  /** Installs a package beside the config. */
  addInstalled(name: string, text: PackageText): void {
    this.write(join(this.config, 'node_modules', name), name, text);
  }

  write(folder: string, name: string, text: PackageText): void {
    const manifest = text.manifest ?? { contract: 1, plugins: [{ kind: text.kind ?? 'auth', name: text.name ?? 'x', export: '.' }] };
    const json = {
      name,
      version: '1.2.3',
      type: 'module',
      exports: './index.js',
      ...(text.manifest === null ? {} : { towline: manifest }),
      ...text.json,
    };
    this.writeFile(join(folder, 'package.json'), JSON.stringify(json));
    this.writeFile(join(folder, 'index.js'), text.source ?? pluginSource({ kind: text.kind ?? 'auth', name: text.name ?? 'x' }));
  }

  writeFile(file: string, text: string): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** The sources, with `plugins: [...]` of the config. */
  sources(...configured: string[]): PluginSources {
    const file = join(this.config, 'relay.yaml');
    return {
      distribution: { packages: this.#names, from: join(this.relay, 'dist', 'index.js') },
      configured: { packages: configured.map((name, index) => ({ name, at: { file, line: 40 + index } })), from: this.config },
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** An entry of the config in line 7. */
export function entry(kind: PluginKind, use: string, options: PluginEntry['options'] = {}, more: Partial<PluginEntry> = {}): PluginEntry {
  return { kind, use, options, at: { file: 'relay.yaml', line: 7 }, ...more };
}

declare global {
  var towlineTestEvents: string[] | undefined;
}
