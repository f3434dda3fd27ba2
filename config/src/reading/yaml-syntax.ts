import { Composer, type CST, type Document, Lexer, LineCounter, Parser } from 'yaml';
import type { Fault } from '../faults/fault.ts';
import { textOfYamlFault } from './yaml-fault-text.ts';

/** Open lists and mappings of the parser at once. Each level of ours takes two; the parsing behind it recurses. */
const MAX_PARSER_DEPTH = 100;
/** Faults reported of one file: a broken one yields a fault for every letter. */
const MAX_SYNTAX_FAULTS = 20;

/** A parsed document with the line of each offset in it. */
export interface YamlSyntax {
  readonly document: Document.Parsed | undefined;
  lineAt(offset: number): number;
  readonly faults: readonly Fault[];
}

class TooDeep extends Error {}

/** Parses YAML 1.2. Keys that occur twice are left to whoever knows their path. */
export function parseYamlSyntax(text: string, file: string): YamlSyntax {
  const lines = new LineCounter();
  // A parser that is driven by lexemes reports every line but the first.
  lines.addNewLine(0);
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line);
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  try {
    const [document, second] = composer.compose(boundedTokens(text, parser), true, text.length);
    const faults = document === undefined ? [] : syntaxFaults(document, file, lineAt);
    if (second !== undefined) faults.push({ file, line: lineAt(second.range[0]), key: '', ...textOfYamlFault('MULTIPLE_DOCS') });
    return { document, lineAt, faults };
  } catch (error) {
    if (!(error instanceof TooDeep || error instanceof RangeError)) throw error;
    return {
      document: undefined,
      lineAt,
      faults: [{ file, line: lineAt(parser.offset), key: '', ...textOfYamlFault('RESOURCE_EXHAUSTION') }],
    };
  }
}

/** Tokens of the text, given up when they nest too deeply: what composes them calls itself for every level. */
function* boundedTokens(text: string, parser: Parser): Generator<CST.Token> {
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAX_PARSER_DEPTH) throw new TooDeep();
  }
  yield* parser.end();
}

function syntaxFaults(document: Document.Parsed, file: string, lineAt: (offset: number) => number): Fault[] {
  const faults = [...document.errors, ...document.warnings].map((problem) => ({
    file,
    line: lineAt(problem.pos[0]),
    key: '',
    ...textOfYamlFault(problem.code),
  }));
  if (document.directives.yaml.explicit && document.directives.yaml.version !== '1.2')
    faults.push({ file, line: 1, key: '', ...textOfYamlFault('BAD_DIRECTIVE') });
  return faults.filter((fault, at) => faults.findIndex((other) => other.line === fault.line) === at).slice(0, MAX_SYNTAX_FAULTS);
}
