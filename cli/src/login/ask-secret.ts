import { StringDecoder } from 'node:string_decoder';
import { TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';

/** Longest secret taken from a terminal or stdin, characters. */
const LONGEST = 4_096;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: ReadonlySet<string> = new Set(['\b', '\u007f']);
const LINE_ENDS: ReadonlySet<string> = new Set(['\r', '\n']);

/**
 * Asks for a secret on the terminal without showing what is typed; what comes after `longest` characters is dropped.
 * @throws TowlineError `cancelled` on Ctrl-C.
 */
export async function askSecret(
  host: Pick<Host, 'stdin' | 'stderr' | 'signal'>,
  question: string,
  longest: number = LONGEST,
): Promise<string> {
  const { stdin, stderr, signal } = host;
  // Before the question: whoever answers at once, as by pasting, must not find a terminal that still shows it.
  stdin.setRawMode?.(true);
  try {
    stderr.write(question);
    return await readLine(stdin, signal, longest);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** Asks for a line on the terminal, which shows what is typed. @throws TowlineError `cancelled` on Ctrl-C. */
export async function askLine({ stdin, stderr, signal }: Pick<Host, 'stdin' | 'stderr' | 'signal'>, question: string): Promise<string> {
  stderr.write(question);
  try {
    return await readLine(stdin, signal, LONGEST);
  } finally {
    stdin.pause();
  }
}

function readLine(stdin: Host['stdin'], signal: AbortSignal, longest: number): Promise<string> {
  const typed: string[] = [];
  const decoder = new StringDecoder('utf8');
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      stdin.off('data', take);
      stdin.off('end', end);
      signal.removeEventListener('abort', abort);
      settle();
    };
    const abort = () => finish(() => reject(new TowlineError('cancelled')));
    const end = () => finish(() => resolve(typed.join('')));
    const take = (chunk: Buffer) => {
      for (const char of decoder.write(chunk)) {
        if (char === CTRL_C) return finish(() => reject(new TowlineError('cancelled')));
        if (LINE_ENDS.has(char) || char === CTRL_D) return end();
        if (BACKSPACES.has(char)) typed.pop();
        else if (typed.length < longest) typed.push(char);
      }
    };
    signal.addEventListener('abort', abort, { once: true });
    stdin.on('data', take);
    stdin.on('end', end);
    // A question before this one has paused it, and a new listener alone does not wake it.
    stdin.resume();
    if (signal.aborted) abort();
  });
}

/** What is read from stdin, and how it is named and given. */
export interface SecretInput {
  readonly name: string;
  readonly hint: string;
}

/** The first line of stdin without its end. @throws TowlineError `usage` when it is empty or longer than a secret can be. */
export async function readSecretFromStdin(stdin: Host['stdin'], { name, hint }: SecretInput): Promise<string> {
  let text = '';
  // A character may come in two pieces.
  const decoder = new StringDecoder('utf8');
  for await (const chunk of stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.write(chunk);
    if (text.includes('\n') || text.length > LONGEST) break;
  }
  const line = text.split('\n', 1)[0]!.replace(/\r$/, '');
  if (line.trim() !== '' && line.length <= LONGEST) return line;
  throw new TowlineError('usage', `${name} on stdin is ${line.trim() === '' ? 'empty' : 'too long'}.`, { hint });
}
