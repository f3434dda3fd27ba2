import { createRequire } from 'node:module';
import { TowlineError } from '@towline/protocol';
import type { Quiche } from './quiche.ts';

/** Where the binding comes from, by platform and processor: packages that hold one binary each. See docs/decisions/0009. */
const SOURCES: Readonly<Record<string, readonly string[]>> = Object.freeze({
  'linux-x64': ['@matrixai/quic-linux-x64', '@infisical/quic-linux-x64'],
  'linux-arm64': ['@infisical/quic-linux-arm64'],
  'linux-arm': ['@infisical/quic-linux-arm'],
  'darwin-arm64': ['@matrixai/quic-darwin-arm64', '@matrixai/quic-darwin-universal'],
  'darwin-x64': ['@matrixai/quic-darwin-x64', '@matrixai/quic-darwin-universal'],
});

/** The binding and the package it came from. */
export interface LoadedQuiche {
  readonly quiche: Quiche;
  readonly source: string;
}

const require = createRequire(import.meta.url);
let loaded: LoadedQuiche | undefined;

/** Loads the native binding once. @throws TowlineError `unavailable` where there is none for this machine, or it cannot be loaded. */
export function loadQuiche(): LoadedQuiche {
  loaded ??= loadFrom(SOURCES[`${process.platform}-${process.arch}`] ?? [], require);
  return loaded;
}

/** Takes the first of these packages that can be loaded. */
export function loadFrom(packages: readonly string[], load: (name: string) => unknown): LoadedQuiche {
  const reasons: string[] = [];
  for (const source of packages) {
    try {
      return { quiche: load(source) as Quiche, source };
    } catch (error) {
      reasons.push(`${source}: ${String((error as Error).message).split('\n')[0]}`);
    }
  }
  const machine = `${process.platform} on ${process.arch}${isMusl() ? ' with musl' : ''}`;
  throw new TowlineError('unavailable', `QUIC cannot be used on this machine (${machine}); TLS is used instead.`, {
    detail: reasons.length === 0 ? 'There is no build of the native part for it.' : reasons.join('; '),
  });
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}
