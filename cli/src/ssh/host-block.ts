import { TowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';
import { HOST_PATTERNS } from './host-pattern.ts';

/** First line of our file; what does not begin with it is somebody else's. */
export const HOST_BLOCK_HEAD = '# Written by `towline ssh enable`, which writes it anew; `towline ssh disable` removes it.';

/** Words that OpenSSH fills in: the host, and the port. */
const FILLED_IN: readonly string[] = Object.freeze(['%h', '%p']);

/**
 * Content of our file: hosts whose names end in `.towline` are reached by a command, given by its words; host and port follow them.
 * @throws TowlineError `config_invalid` for words that no line can hold.
 */
export function hostBlock(command: readonly string[]): string {
  const words = [...command.map(quoted), ...FILLED_IN.map((word) => `'${word}'`)];
  // A user who has connections handed over by descriptor for other hosts would have none here.
  return [HOST_BLOCK_HEAD, `Host ${HOST_PATTERNS.join(' ')}`, `  ProxyCommand ${words.join(' ')}`, '  ProxyUseFdpass no', ''].join('\n');
}

/** A word for the shell of the user, behind the expansion of `%` by OpenSSH. */
function quoted(word: string): string {
  if (/\p{Cc}/u.test(word)) {
    throw new TowlineError('config_invalid', `“${shown(word, 400)}” has control characters, and cannot stand in a config of OpenSSH.`, {
      hint: 'Install Towline in another folder.',
    });
  }
  const plain = /^[\w./:@=-]+$/.test(word);
  return plain ? word : `'${word.replaceAll("'", "'\\''").replaceAll('%', '%%')}'`;
}
