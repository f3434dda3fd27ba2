import type { Host } from '../host.ts';

/** Functions that colour a text, or leave it as it is. */
export interface Colours {
  readonly bold: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly red: (text: string) => string;
}

const paint = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`;
const plain = (text: string) => text;

const COLOURED: Colours = Object.freeze({ bold: paint(1, 22), green: paint(32, 39), yellow: paint(33, 39), red: paint(31, 39) });
const UNCOLOURED: Colours = Object.freeze({ bold: plain, green: plain, yellow: plain, red: plain });

/** Colours only on a terminal, and not where NO_COLOR is set (to anything but nothing) or --no-color was given. */
export function chooseColours(host: Pick<Host, 'env' | 'stdout'>, wanted: boolean): Colours {
  const asked = wanted && !host.env.NO_COLOR && host.env.TERM !== 'dumb';
  return asked && host.stdout.isTTY === true ? COLOURED : UNCOLOURED;
}
