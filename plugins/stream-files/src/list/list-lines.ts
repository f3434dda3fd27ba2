import { shownPath } from '../tree/names.ts';
import type { Listed } from '../wire/schemas.ts';

const KIND_LETTERS: Readonly<Record<Listed['kind'], string>> = Object.freeze({
  file: '-',
  folder: 'd',
  link: 'l',
  fifo: 'p',
  socket: 's',
  block: 'b',
  character: 'c',
});

/** Lines of a long list: mode, links, user and group by number, bytes, time in UTC, name. */
export function longLines(items: readonly Listed[]): string[] {
  const rows = items.map((item) => [modeText(item), String(item.links), String(item.uid), String(item.gid), String(item.size)]);
  const widths = rows.reduce((most, row) => row.map((text, at) => Math.max(most[at] ?? 0, text.length)), [] as number[]);
  return items.map((item, index) => {
    const cells = rows[index]!.map((text, at) => (at === 0 ? text : text.padStart(widths[at]!)));
    const target = item.target === undefined ? '' : ` -> ${shownPath(item.target)}`;
    return `${cells.join(' ')} ${timeOf(item.mtime).slice(0, 16).replace('T', ' ')} ${shownPath(item.name)}${target}`;
  });
}

/** An item of the JSON list. A name that is no UTF-8 is there as text for people, and as bytes. */
export function jsonItem(item: Listed): object {
  return {
    name: shownPath(item.name),
    ...(Buffer.from(item.name.toString('utf8')).equals(item.name) ? {} : { name_base64: item.name.toString('base64') }),
    kind: item.kind,
    mode: item.mode.toString(8).padStart(4, '0'),
    size: item.size,
    modified_at: timeOf(item.mtime),
    uid: item.uid,
    gid: item.gid,
    ...(item.target === undefined ? {} : { target: shownPath(item.target) }),
  };
}

function timeOf(mtime: number): string {
  return new Date(mtime).toISOString();
}

/** As ls(1) shows it, with setuid, setgid and the sticky bit. */
function modeText({ kind, mode }: Listed): string {
  const triple = (shift: number, special: number, letters: string) => {
    const bits = mode >> shift;
    const run = (mode & special) === 0 ? (bits & 1 ? 'x' : '-') : letters[bits & 1];
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${run}`;
  };
  return `${KIND_LETTERS[kind]}${triple(6, 0o4000, 'Ss')}${triple(3, 0o2000, 'Ss')}${triple(0, 0o1000, 'Tt')}`;
}
