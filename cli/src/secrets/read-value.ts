import { MAX_SECRET_BYTES, secretValueFault, TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { askSecret } from '../login/ask-secret.ts';

/** The value of a secret: typed on the terminal, which does not show it, or all of stdin but one newline at its end. @throws TowlineError `usage`. */
export async function readSecretValue(host: Pick<Host, 'stdin' | 'stderr' | 'signal'>, name: string): Promise<string> {
  const value =
    host.stdin.isTTY === true
      ? await askSecret(host, `Value of ${name} (not shown): `, { longest: MAX_SECRET_BYTES + 1, oneLine: true })
      : (await readWhole(host.stdin)).replace(/\r?\n$/, '');
  const fault = secretValueFault(value);
  if (fault === null) return value;
  throw new TowlineError('usage', `The value of ${name} cannot be taken: ${fault}. Nothing was sent.`, {
    hint: `Pipe in the value alone, as in \`towline secrets set ${name} < ${name.toLowerCase()}.txt\`, or leave it out to be asked.`,
  });
}

/** Stops soon after what would be too long, so that nothing endless is read. */
async function readWhole(stdin: Host['stdin']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk as Buffer | string);
    chunks.push(part);
    bytes += part.length;
    // Two more may be the newline that does not count.
    if (bytes > MAX_SECRET_BYTES + 2) throw tooLong();
  }
  return decodeUtf8(Buffer.concat(chunks));
}

function decodeUtf8(bytes: Buffer): string {
  try {
    // A byte order mark is part of the value.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new TowlineError('usage', 'What is on stdin is not UTF-8 text. Nothing was sent.', {
      hint: 'Encode it, as with base64, and decode it where it is used.',
    });
  }
}

function tooLong(): TowlineError {
  return new TowlineError('usage', `What is on stdin is longer than ${MAX_SECRET_BYTES} bytes. Nothing was sent.`, {
    hint: 'A secret is a password, a token or a key; copy larger files to the device.',
  });
}
