import type { Host } from '../host.ts';
import { type Colours, chooseColours } from './colours.ts';
import { type Column, fieldLines, tableLines } from './table.ts';
import { jsonText } from './terminal-text.ts';

/** Where a command prints: data on stdout, everything else on stderr. Texts of devices and users come in escaped. */
export interface Output {
  readonly json: boolean;
  readonly colours: Colours;
  /** One line of data. */
  line(text: string): void;
  /** Names and values, one a line. */
  fields(fields: readonly (readonly [name: string, value: string | null | undefined])[]): void;
  /** A table; `empty` is said on stderr when there is no row. */
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], empty: string): void;
  /** The one document of `--json`. */
  document(value: unknown): void;
  /** A remark for the person, on stderr. */
  note(text: string): void;
  /** A remark that only `-v` shows. */
  detail(text: string): void;
}

/** Prints to the streams of the host. */
export function createOutput(host: Host, options: { readonly json: boolean; readonly color: boolean; readonly verbose: boolean }): Output {
  const colours = chooseColours(host, options.color);
  const print = (lines: readonly string[]) => {
    if (lines.length > 0) host.stdout.write(`${lines.join('\n')}\n`);
  };
  const note = (text: string) => {
    host.stderr.write(`towline: ${text}\n`);
  };
  return {
    json: options.json,
    colours,
    line: (text) => print([text]),
    fields: (fields) => print(fieldLines(fields, colours)),
    table: (columns, rows, empty) => (rows.length > 0 ? print(tableLines(columns, rows, colours)) : note(empty)),
    document: (value) => print([jsonText(value, 2)]),
    note,
    detail: (text) => (options.verbose ? note(text) : undefined),
  };
}
