import { isTowlineError } from '@towline/contract';

/** How often a change is tried while others change the same record. */
const ATTEMPTS = 8;

/** Repeats a change that reads a record and writes it, while somebody else was faster. @throws TowlineError `store_conflict`, in the end. */
export async function retryOnConflict<Result>(change: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await change();
    } catch (error) {
      if (attempt === ATTEMPTS || !isTowlineError(error) || error.code !== 'store_conflict') throw error;
    }
  }
}
