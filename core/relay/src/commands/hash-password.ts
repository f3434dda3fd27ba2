import { hashPassword, MIN_PASSWORD_LENGTH, passwordWeakness } from '@towline/auth-basic/password';
import { TowlineError } from '@towline/contract';
import { askHidden } from '../ask-hidden.ts';

/** Most that is read from standard input, bytes. */
const MAX_INPUT = 16_384;

/** `towline-relay hash-password`: reads a password from the terminal or standard input, prints its hash for the config. */
export async function hashPasswordCommand(): Promise<void> {
  const password = process.stdin.isTTY ? await askTwice() : await readOnce();
  const weakness = passwordWeakness(password);
  if (weakness !== null) {
    throw new TowlineError('usage', `The password is refused: it is ${weakness}.`, {
      hint: `Take at least ${MIN_PASSWORD_LENGTH} characters, as some words that nobody else would put together.`,
    });
  }
  process.stdout.write(`${await hashPassword(password)}\n`);
}

async function askTwice(): Promise<string> {
  const [first, second] = await askHidden(['Password: ', 'Again: ']);
  if (first !== second) throw new TowlineError('usage', 'The two passwords are not the same.', { hint: 'Run it again.' });
  return first!;
}

/** All of standard input without the end of its only line. */
async function readOnce(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += (chunk as Buffer).length;
    if (size > MAX_INPUT) throw new TowlineError('usage', `Standard input has more than ${MAX_INPUT} bytes: that is no password.`);
    chunks.push(chunk as Buffer);
  }
  const text = decode(Buffer.concat(chunks)).replace(/\r?\n$/, '');
  if (/[\r\n]/.test(text)) throw new TowlineError('usage', 'Standard input has several lines, where one password was expected.');
  return text;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TowlineError('usage', 'Standard input is not UTF-8.');
  }
}
