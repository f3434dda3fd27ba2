/** Stands above our line, so that whoever reads the file knows whose it is. */
const REMARK = '# The next line is by `towline ssh enable`, and has to stand before Host and Match; `towline ssh disable` removes both.';

/**
 * A config of OpenSSH with our file included before anything is limited to some hosts; nothing else is changed. Texts are bytes, as
 * `latin1` has them.
 */
export function withInclude(text: string, word: string): string {
  const lines = linesOf(text);
  const at = lines.findIndex((line) => includes(line, word));
  const limitedFrom = lines.findIndex((line) => /^[ \t\f]*"?(?:host|match)["= \t]/i.test(line));
  if (at >= 0 && (limitedFrom < 0 || at < limitedFrom)) return text;
  return `${REMARK}\nInclude ${bytesOf(word)}\n${withoutInclude(text, word)}`;
}

/** The config without our line and its remark; nothing else is changed. */
export function withoutInclude(text: string, word: string): string {
  return linesOf(text)
    .filter((line) => line.trimEnd() !== REMARK && !includes(line, word))
    .join('');
}

/** Lines with their ends. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function includes(line: string, word: string): boolean {
  const [, named] = /^[ \t\f]*include(?:[ \t]*=[ \t]*|[ \t]+)(.*?)[ \t\r\f\n]*$/i.exec(line) ?? [];
  return named !== undefined && unquoted(named) === unquoted(bytesOf(word));
}

function unquoted(word: string): string {
  return /^"(.*)"$/.exec(word)?.[1] ?? word;
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
