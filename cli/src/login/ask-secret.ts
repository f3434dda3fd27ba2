import { StringDecoder } from 'node:string_decoder';
import { TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';

/** So long nothing comes behind the end of a line when it was the last, milliseconds. */
const QUIET_MS = 200;
/** Longest secret taken from a terminal or stdin, characters. */
const LONGEST = 4_096;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: ReadonlySet<string> = new Set(['\b', '\u007f']);
const LINE_ENDS: ReadonlySet<string> = new Set(['\r', '\n']);

/** What is asked for, where it is more than a password. */
export interface SecretQuestion {
  /** What comes after so many characters is dropped. */
  readonly longest?: number;
  /** Refuses what comes in several lines, of which the first alone would be taken and the others left to the shell. */
  readonly oneLine?: boolean;
}

/** Asks for a secret on the terminal without showing what is typed. @throws TowlineError `cancelled` on Ctrl-C; `usage` for several lines. */
export async function askSecret(
  host: Pick<Host, 'stdin' | 'stderr' | 'signal'>,
  question: string,
  { longest = LONGEST, oneLine = false }: SecretQuestion = {},
): Promise<string> {
  const { stdin, stderr, signal } = host;
  // Before the question: whoever answers at once, as by pasting, must not find a terminal that still shows it.
  stdin.setRawMode?.(true);
  try {
    stderr.write(question);
    const { line, rest } = await readLine(stdin, signal, longest);
    if (oneLine && (await takeRest(stdin, rest))) throw severalLines();
    return line;
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
    return (await readLine(stdin, signal, LONGEST)).line;
  } finally {
    stdin.pause();
  }
}

/** Takes what follows a line off the terminal, until nothing comes any more. Answers whether it was more than the end of that line. */
async function takeRest(stdin: Host['stdin'], rest: string): Promise<boolean> {
  const isMore = (text: string) => /[^\r\n]/.test(text);
  let more = isMore(rest);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      stdin.off('data', take);
      resolve();
    }, QUIET_MS);
    const take = (chunk: Buffer) => {
      more ||= isMore(chunk.toString('latin1'));
      timer.refresh();
    };
    stdin.on('data', take);
  });
  return more;
}

function severalLines(): TowlineError {
  return new TowlineError('usage', 'That was more than one line, and only one can be typed or pasted. Nothing was sent.', {
    hint: 'Give what has several lines on stdin, as in `towline secrets set NAME < FILE`.',
  });
}

interface Line {
  readonly line: string;
  /** What came in one piece with it. */
  readonly rest: string;
}

function readLine(stdin: Host['stdin'], signal: AbortSignal, longest: number): Promise<Line> {
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
    const end = (rest = '') => finish(() => resolve({ line: typed.join(''), rest }));
    const take = (chunk: Buffer) => {
      const chars = [...decoder.write(chunk)];
      for (const [at, char] of chars.entries()) {
        if (char === CTRL_C) return finish(() => reject(new TowlineError('cancelled')));
        if (LINE_ENDS.has(char) || char === CTRL_D) return end(chars.slice(at + 1).join(''));
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
