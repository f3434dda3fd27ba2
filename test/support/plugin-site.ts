import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finished, ROOT } from './process.ts';
import { runRelay, startRelayOn } from './relay-process.ts';
import type { TestRelay } from './system.ts';

/** A folder with a config and packages of other people, as an operator would have it. */
export class Site {
  readonly dir: string;
  /** What the plugins here tell of their lives, line by line. */
  readonly #told: string;

  constructor(dir: string) {
    this.dir = dir;
    this.#told = join(this.dir, 'told');
    mkdirSync(join(this.dir, 'node_modules'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', '@towline'), join(this.dir, 'node_modules', '@towline'));
    symlinkSync(join(ROOT, 'node_modules', 'zod'), join(this.dir, 'node_modules', 'zod'));
  }

  get config(): string {
    return join(this.dir, 'towline.yaml');
  }

  get told(): string[] {
    return existsSync(this.#told) ? readFileSync(this.#told, 'utf8').trim().split('\n') : [];
  }

  configure(...lines: string[]): this {
    writeFileSync(this.config, `${lines.join('\n')}\n`);
    return this;
  }

  /** Writes a package with one plugin, which tells when it is imported. */
  addPackage(folder: string, { kind, name, ...parts }: PluginParts): this {
    const path = join(this.dir, folder);
    mkdirSync(path, { recursive: true });
    const manifest = { contract: 1, plugins: [{ kind, name, export: '.' }], ...parts.manifest };
    const json = { name: `@acme/${folder.replace(/.*\//, '')}`, version: '1.2.3', type: 'module', exports: './index.js' };
    writeFileSync(join(path, 'package.json'), JSON.stringify(parts.manifest === null ? json : { ...json, towline: manifest }));
    writeFileSync(
      join(path, 'index.js'),
      `import { appendFileSync } from 'node:fs';
       import { definePlugin } from '@towline/contract';
       import { z } from 'zod';
       const tell = (what) => appendFileSync(${JSON.stringify(this.#told)}, what + '\\n');
       tell('import ${name}');
       ${parts.before ?? ''}
       export const plugin = definePlugin({
         kind: '${parts.exportedKind ?? kind}', name: '${name}', options: ${parts.options ?? 'z.strictObject({})'},
         create: (options, host) => ${parts.create ?? `(${lively(name, kind)})`},
       });`,
    );
    return this;
  }

  start(): Promise<Finished> {
    return runRelay(['start', '--config', this.config, '--data', join(this.dir, 'data'), '--host', '127.0.0.1', '--port', '0']);
  }

  serve(): Promise<TestRelay> {
    return startRelayOn(join(this.dir, 'data'), { config: this.config });
  }
}

/** A plugin package to be written. */
export interface PluginParts {
  readonly kind: 'auth' | 'audit' | 'store';
  readonly name: string;
  /** Laid over the `towline` entry of package.json; null: there is none. */
  readonly manifest?: object | null;
  readonly exportedKind?: string;
  readonly options?: string;
  readonly create?: string;
  /** Runs while the module is imported. */
  readonly before?: string;
}

/** An instance that tells of its start and its end. */
export function lively(name: string, kind: PluginParts['kind'], { start = '', dispose = '' } = {}): string {
  const work = kind === 'auth' ? "authenticate: async () => ({ outcome: 'skipped' })" : 'write: async () => {}';
  return `{ ${work},
    async start(signal) { tell('start ${name}'); ${start} },
    async [Symbol.asyncDispose]() { tell('stop ${name}'); ${dispose} } }`;
}
