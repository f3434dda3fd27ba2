/** The command line cut at its first word: what stands before it can only be options of the program itself. */
export interface Words {
  readonly before: readonly string[];
  /** Name of a command, or a device. */
  readonly first: string | undefined;
  readonly after: readonly string[];
}

/** Options of the program that are followed by a value. */
const WITH_VALUE: ReadonlySet<string> = new Set(['--relay', '--profile', '--transport']);

/** Finds the first word that is no option of the program. A lone `--` before it is skipped, so that any word can be first. */
export function splitWords(argv: readonly string[]): Words {
  let at = 0;
  while (at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '--') at += WITH_VALUE.has(argv[at]!) ? 2 : 1;
  const start = argv[at] === '--' ? at + 1 : at;
  return { before: argv.slice(0, at), first: argv[start], after: argv.slice(start + 1) };
}

/** Whether an option of the program was given before the words that belong to a remote command. */
export function hasFlag(argv: readonly string[], flag: string): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes(flag);
}
