import { TowlineError, toTowlineError } from '@towline/contract';
import { runWithDeadline } from './deadline.ts';

/** Things to be ended, in the reverse of the order in which they began. */
export interface DisposalStack {
  /** Notes how to end what was just begun. */
  add(name: string, end: () => PromiseLike<void> | void): void;
  /** Ends all, each within its deadline; a fault of one keeps no other from being ended. Answers the faults. */
  disposeAll(): Promise<TowlineError[]>;
}

/** Time for ending one thing, milliseconds. Plugins are one thing here and have deadlines of their own. */
const DEADLINE_MS = 60_000;

/** Makes an empty stack. */
export function createDisposalStack(): DisposalStack {
  const stack: { readonly name: string; readonly end: () => PromiseLike<void> | void }[] = [];
  return {
    add(name, end) {
      stack.push({ name, end });
    },
    async disposeAll() {
      const faults: TowlineError[] = [];
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        const { name, end } = last;
        const onTimeout = () => new TowlineError('timeout', `${name} did not end within ${DEADLINE_MS / 1_000} s.`);
        await runWithDeadline(async () => end(), { ms: DEADLINE_MS, onTimeout }).catch((error: unknown) =>
          faults.push(toTowlineError(error)),
        );
      }
      return faults;
    },
  };
}
