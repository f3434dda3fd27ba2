import { randomBytes } from 'node:crypto';
import { ip } from './network-commands.ts';

const PREFIX = 'tl';

/** Network namespaces of one test, by the part each plays. */
export interface Spaces<Part extends string> extends Disposable {
  readonly names: Readonly<Record<Part, string>>;
}

/** Makes empty network namespaces. They are removed, with every process in them, on disposal and when this process ends. */
export function createSpaces<const Part extends string>(parts: readonly Part[]): Spaces<Part> {
  removeLeftOvers();
  const id = `${PREFIX}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const names = Object.fromEntries(parts.map((part) => [part, `${id}-${part}`])) as Record<Part, string>;
  const remove = () => {
    process.off('exit', remove);
    for (const part of parts) removeSpace(names[part]);
  };
  process.once('exit', remove);
  try {
    for (const part of parts) {
      ip(['netns', 'add', names[part]]);
      ip(['-n', names[part], 'link', 'set', 'lo', 'up']);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { names, [Symbol.dispose]: remove };
}

/** Namespaces of test processes that were killed. */
function removeLeftOvers(): void {
  for (const line of ip(['netns', 'list']).split('\n')) {
    const [name, pid] = new RegExp(`^${PREFIX}-(\\d+)-[0-9a-f]{6}-\\w+`).exec(line) ?? [];
    if (name !== undefined && !isRunning(Number(pid))) removeSpace(name);
  }
}

/** A namespace whose name is gone lives on as long as a process is in it, so those go first. */
function removeSpace(name: string): void {
  quietly(() => {
    const pids = ip(['netns', 'pids', name]).split('\n').filter(Boolean);
    for (const pid of pids) quietly(() => process.kill(Number(pid), 'SIGKILL'));
  });
  quietly(() => ip(['netns', 'del', name]));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** For what may be gone already. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // It is gone.
  }
}
