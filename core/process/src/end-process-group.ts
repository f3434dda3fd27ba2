import { setTimeout as delay } from 'node:timers/promises';
import { listProcesses, membersOfSession, type ProcessEntry } from './process-table.ts';

/** How a process group is ended. */
export interface EndOptions {
  /** Asks them to end: SIGHUP where a terminal goes away, else SIGTERM. */
  readonly signal: 'SIGHUP' | 'SIGTERM';
  /** Time between the asking and SIGKILL, milliseconds. Default 2,000: enough to remove a lock file. */
  readonly graceMs?: number;
  /** Time that is waited for the killed to be gone, milliseconds. Default 2,000: one may hang in the kernel. */
  readonly killWaitMs?: number;
}

/** First wait between two looks at the process table; it doubles up to the longest. Milliseconds. */
const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 100;

/**
 * Ends the process group and session that `leader` leads, and waits until they are gone. On Linux that is every
 * process of the session, in whatever group, and all their descendants; elsewhere the process group. A process
 * that has both left the session and lost its parent inside it (a daemon) is not found: it left on purpose.
 * Call it once, soon after the leader ended: its number may then be given to a stranger.
 * @returns pids that could not be ended, as those of another user; empty when all are gone.
 */
export async function endProcessGroup(leader: number, options: EndOptions): Promise<readonly number[]> {
  if (!Number.isInteger(leader) || leader <= 1) throw new RangeError(`${leader} is no process group to end`);
  const targets = new SessionTargets(leader);
  if (await targets.areGone()) return [];
  targets.signal(options.signal);
  // A stopped process sees the signal only when it goes on.
  targets.signal('SIGCONT');
  if (await goneWithin(targets, options.graceMs ?? 2_000)) return [];
  return (await goneWithin(targets, options.killWaitMs ?? 2_000, 'SIGKILL')) ? [] : targets.pids;
}

/** Looks until all are gone; `signal` is sent again at each look, since those alive may have forked in between. */
async function goneWithin(targets: SessionTargets, limitMs: number, signal?: NodeJS.Signals): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 2, LONGEST_LOOK_MS)) {
    if (signal) targets.signal(signal);
    const left = deadline - performance.now();
    if (left > 0) await delay(Math.min(wait, left));
    if (await targets.areGone()) return true;
    if (performance.now() >= deadline) return false;
  }
}

/** The processes to end. Keeps those found once, which lose the tie to the session when their parent ends. */
class SessionTargets {
  readonly #leader: number;
  #found = new Map<number, ProcessEntry>();

  constructor(leader: number) {
    this.#leader = leader;
  }

  get pids(): readonly number[] {
    return [...this.#found.keys()];
  }

  /** Looks at the process table anew. */
  async areGone(): Promise<boolean> {
    if (process.platform !== 'linux') return !trySignal(-this.#leader, 0);
    const all = await listProcesses();
    const known = all.filter(({ pid, startedAt }) => this.#found.get(pid)?.startedAt === startedAt);
    const members = [...known, ...membersOfSession(all, this.#leader)].filter(({ pid }) => pid > 1 && pid !== process.pid);
    this.#found = new Map(members.map((entry) => [entry.pid, entry]));
    return this.#found.size === 0;
  }

  signal(name: NodeJS.Signals): void {
    // The group first and at once, so that its members do not see each other go one by one.
    if (process.platform !== 'linux' || this.#hasGroup()) trySignal(-this.#leader, name);
    for (const { pid, group } of this.#found.values()) if (group !== this.#leader) trySignal(pid, name);
  }

  #hasGroup(): boolean {
    return [...this.#found.values()].some(({ group }) => group === this.#leader);
  }
}

/** Sends a signal. False when nobody is there any more, or the process belongs to another user. */
export function trySignal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH' || (error as NodeJS.ErrnoException).code === 'EPERM') return false;
    throw error;
  }
}
