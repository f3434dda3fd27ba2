import type { Colours } from './colours.ts';
import { displayWidth } from './terminal-text.ts';

/** One column of a table: its heading and the text of a row in it. The text is safe for a terminal already. */
export interface Column<Row> {
  readonly heading: string;
  readonly text: (row: Row) => string;
  /** Colour of the cell, by its row. */
  readonly colour?: (row: Row, colours: Colours) => (text: string) => string;
}

/** Between two columns. */
const GAP = '  ';

/** Lines of a table with plain aligned columns. The last column is not padded. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], colours: Colours): string[] {
  const cells = rows.map((row) => columns.map((column) => column.text(row) || '-'));
  const widths = columns.map((column, at) => cells.reduce((width, row) => Math.max(width, displayWidth(row[at]!)), column.heading.length));
  const line = (texts: readonly string[], paint: (text: string, at: number) => string) =>
    texts.map((text, at) => paint(text, at) + (at === texts.length - 1 ? '' : padding(text, widths[at]!) + GAP)).join('');
  return [
    line(
      columns.map((column) => column.heading),
      colours.bold,
    ),
    ...cells.map((row, index) => line(row, (text, at) => columns[at]!.colour?.(rows[index]!, colours)(text) ?? text)),
  ];
}

/** Lines of names and values, the values aligned; those without a value are left out. */
export function fieldLines(fields: readonly (readonly [name: string, value: string | null | undefined])[], colours: Colours): string[] {
  const present = fields.filter((field) => field[1] !== null && field[1] !== undefined && field[1] !== '');
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${colours.bold(name)}${padding(name, width)}${GAP}${value}`);
}

function padding(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - displayWidth(text)));
}
