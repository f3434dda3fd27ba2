import { TowlineError } from '@towline/contract';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: ReadonlySet<string> = new Set(['\b', '\u007f']);
const LINE_ENDS: ReadonlySet<string> = new Set(['\r', '\n']);

/**
 * Asks questions on the terminal, on standard error, without showing what is typed. Answers one line for each.
 * @throws TowlineError `cancelled` on Ctrl-C, Ctrl-D, or when the terminal goes away.
 */
export async function askHidden(questions: readonly string[]): Promise<readonly string[]> {
  const { stdin, stderr } = process;
  // Before the first question: whoever answers at once, as by pasting, must not find a terminal that still shows it.
  stdin.setRawMode(true);
  try {
    return await readAnswers(questions);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

async function readAnswers(questions: readonly string[]): Promise<string[]> {
  const { stdin, stderr } = process;
  const answers: string[] = [];
  let typed: string[] = [];
  stdin.setEncoding('utf8');
  stderr.write(questions[0]!);
  for await (const chunk of stdin) {
    for (const char of chunk as string) {
      if (char === CTRL_C || char === CTRL_D) throw new TowlineError('cancelled');
      if (BACKSPACES.has(char)) typed.pop();
      else if (!LINE_ENDS.has(char)) typed.push(char);
      else {
        answers.push(typed.join(''));
        typed = [];
        if (answers.length === questions.length) return answers;
        stderr.write(`\n${questions[answers.length]}`);
      }
    }
  }
  throw new TowlineError('cancelled');
}
