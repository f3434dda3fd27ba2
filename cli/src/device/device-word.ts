/** Before a name that would otherwise be taken for a command. */
const PREFIX = 'device:';

/** The device a word stands for: `device:NAME` always means the device NAME. No name has a colon in it. */
export function deviceOfWord(word: string): string {
  return word.startsWith(PREFIX) ? word.slice(PREFIX.length) : word;
}
