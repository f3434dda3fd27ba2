import { statSync } from 'node:fs';
import type { Statements } from './statements.ts';

/** A file that was deleted or exchanged still takes writes that nobody will find again; so its identity is looked at. */
export function healthReads(path: string) {
  const identity = () => {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  };
  const opened = identity();
  return {
    ping: (): void => {
      if (identity() !== opened) throw new Error(`${path} was exchanged while in use`);
    },
  };
}

/** Like any write it waits for the lock of the file, and so tells whether one could be made. */
export function healthWrites(statements: Statements) {
  return {
    ping: (): void => {
      statements.get('SELECT 1');
    },
  };
}
