import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '@towline/contract';
import type { LadderMemory, RememberedWay } from '@towline/link';
import { toTowlineError } from '@towline/protocol';
import { z } from 'zod';
import { replaceFile } from './replace-file.ts';

/** Name of the file in the folder of the runtime's files. It holds no secret. */
const LADDER_FILE = 'transports.json';
/** Most of the file that is read, bytes: what is beyond is not from here. */
const MAX_BYTES = 65_536;
/** Relays that are remembered; a device belongs to one at a time. */
const MAX_RELAYS = 8;

const waySchema = z.object({
  transport: z.string().max(64),
  reasons: z.record(z.string().max(64), z.string().max(1_000)).default({}),
});
const fileSchema = z.record(z.string().max(300), z.unknown());

/** Keeps by which transport each relay was reached last. A file that is damaged counts as empty and is replaced. */
export function createLadderFile(dir: string, log: Log): LadderMemory {
  const path = join(dir, LADDER_FILE);
  return {
    async recall(relay) {
      return (await readWays(path)).get(relay);
    },
    async remember(relay, way) {
      const others = [...(await readWays(path))].filter(([origin]) => origin !== relay);
      const kept = [...others, [relay, way] as const].slice(-MAX_RELAYS);
      await replaceFile(path, `${JSON.stringify(Object.fromEntries(kept))}\n`).catch((error: unknown) => {
        const { message, detail } = toTowlineError(error);
        log.warn('the transport that works could not be remembered', { file: path, message, detail });
      });
    },
  };
}

async function readWays(path: string): Promise<Map<string, RememberedWay>> {
  try {
    const ways = Object.entries(fileSchema.parse(JSON.parse(await readText(path))));
    return new Map(
      ways.map(([relay, way]) => [relay, waySchema.safeParse(way)] as const).flatMap(([relay, { data }]) => (data ? [[relay, data]] : [])),
    );
  } catch {
    // There is none, or nothing in it that can be understood: then nothing is remembered, and the next link mends it.
    return new Map();
  }
}

async function readText(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
