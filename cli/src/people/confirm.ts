import { TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import type { Host } from '../host.ts';

/** Longest answer that is read, characters. */
const LONGEST = 64;

/** Whether somebody is there who can be asked. Programs are not: what they call is what they want. */
export function canAsk({ stdin, stderr }: Pick<Host, 'stdin' | 'stderr'>): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/** Asks on the terminal; only `y` and `yes` go on. @throws TowlineError `cancelled` for every other answer, and on Ctrl-C. */
export async function confirm({ host }: Pick<Context, 'host'>, question: string): Promise<void> {
  host.stderr.write(`${question} [y/N] `);
  const answer = await readAnswer(host);
  if (!['y', 'yes'].includes(answer.trim().toLowerCase())) throw new TowlineError('cancelled', 'Nothing was changed.');
}

/** One line of the terminal, which lets its user edit it until then. */
function readAnswer({ stdin, signal }: Pick<Host, 'stdin' | 'signal'>): Promise<string> {
  let typed = '';
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      stdin.off('data', take);
      stdin.off('end', end);
      signal.removeEventListener('abort', abort);
      stdin.pause();
      settle();
    };
    const abort = () => finish(() => reject(new TowlineError('cancelled')));
    const end = () => finish(() => resolve(typed));
    const take = (chunk: Buffer) => {
      typed += chunk.toString('utf8');
      if (typed.includes('\n') || typed.length > LONGEST) end();
    };
    signal.addEventListener('abort', abort, { once: true });
    stdin.on('data', take);
    stdin.on('end', end);
    if (signal.aborted) abort();
  });
}
