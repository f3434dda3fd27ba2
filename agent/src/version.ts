import { createRequire } from 'node:module';
import { arch, hostname, platform } from 'node:os';
import type { FactsView } from '@towline/contract';

/** Version of the runtime. */
export const VERSION: string = createRequire(import.meta.url)('../package.json').version;

/** What a device says about itself when it asks to be enrolled. */
export function deviceFacts(): FactsView {
  return { hostname: hostname(), platform: platform(), arch: arch(), version: VERSION };
}
