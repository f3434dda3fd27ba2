import { readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '@towline/contract';
import { z } from 'zod';
import { removePrivateFolder } from './private-folder.ts';
import { processScope, processStart } from './process-start.ts';

/** Time for a killed process to be gone, milliseconds. */
const GONE_MS = 5_000;
const LOOK_EVERY_MS = 20;

const record = z.strictObject({
  pid: z.int().min(2),
  /** See {@link processStart}. */
  started: z.string().min(1),
  /** See {@link processScope}. */
  scope: z.string(),
  /** Folder of the private socket. */
  folder: z.string(),
});

/** The file in the data folder that tells the next relay which edge this one had. */
export interface EdgeRecord {
  /** Notes an edge that was just started; what cannot be noted is logged. */
  write(pid: number, folder: string): Promise<void>;
  /** There is no edge. */
  remove(): Promise<void>;
  /**
   * Ends the edge that an earlier relay left behind, and removes its folder. Only what is surely that very process
   * is killed: a number that another process has by now, or that of another machine, is left alone.
   */
  endStale(): Promise<void>;
}

/** The record at this path. Only one relay uses a data folder at a time, so whatever edge it names is nobody's. */
export function createEdgeRecord(path: string, log: Log): EdgeRecord {
  const remove = () => unlink(path).catch(() => undefined);
  return {
    async write(pid, folder) {
      const started = await processStart(pid);
      if (started === null) return;
      const text = JSON.stringify({ pid, started, scope: await processScope(), folder } satisfies z.infer<typeof record>);
      try {
        await writeFile(`${path}.new`, `${text}\n`, { mode: 0o600 });
        await rename(`${path}.new`, path);
      } catch (error) {
        log.warn('the QUIC edge could not be noted in the data folder; after a crash it may keep its port for some seconds', { error });
      }
    },
    async remove() {
      await remove();
    },
    async endStale() {
      const found = await readRecord(path);
      if (found !== null && found.scope === (await processScope())) {
        await endProcess(found, log);
        await removePrivateFolder(found.folder);
      }
      await remove();
    },
  };
}

async function readRecord(path: string): Promise<z.infer<typeof record> | null> {
  try {
    return record.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}

async function endProcess({ pid, started }: z.infer<typeof record>, log: Log): Promise<void> {
  if ((await processStart(pid)) !== started) return;
  log.warn('a QUIC edge of an earlier relay is ended', { edge_pid: pid });
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  const until = performance.now() + GONE_MS;
  while ((await processStart(pid)) === started && performance.now() < until) await delay(LOOK_EVERY_MS);
}
