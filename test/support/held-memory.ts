import { join } from 'node:path';
import { fetchText } from '../../core/kernel/test/text-answer.ts';
import type { TestRelay } from './system.ts';

const MIB = 1024 * 1024;

/** Environment of a relay that can be asked by `heldMiB`. */
export const COLLECTING = { NODE_OPTIONS: `--require=${join(import.meta.dirname, 'collect-garbage.cjs')}` };

/**
 * Memory that objects of a relay hold, MiB, without garbage. What the process has from the system says little: pages that garbage
 * left stay with it for minutes. Garbage that a request of a moment ago left may still count, so ask again where that matters.
 */
export async function heldMiB(relay: TestRelay): Promise<number> {
  relay.program.child.kill('SIGUSR2');
  const { text } = await fetchText(relay, '/metrics');
  const figure = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
  return (figure('nodejs_heap_size_used_bytes') + figure('nodejs_external_memory_bytes')) / MIB;
}
