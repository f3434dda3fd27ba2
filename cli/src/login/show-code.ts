import { renderUnicodeCompact } from 'uqr';
import type { Host } from '../host.ts';
import { displayWidth, shown } from '../output/terminal-text.ts';
import { durationText } from '../output/times.ts';
import type { DeviceCode } from '../provider/device-flow.ts';

/** Longest link that is shown; a terminal does not fit more. */
const LONGEST_URL = 2_000;
/** Lines that are shown beside the QR code, with the two above it that name relay and provider. */
const OTHER_LINES = 11;
/** White on black, whatever the theme: a code of swapped colours is not read by every camera. */
const PAINT = Object.freeze({ on: '\u001b[97;40m', off: '\u001b[0m' });

/** Shows where a login is confirmed and with which code, on stderr. */
export function showCode(host: Pick<Host, 'env' | 'stderr'>, coloured: boolean, { url, code, directUrl, validMs }: DeviceCode): void {
  const lines = [
    'To log in, open this page and enter the code:',
    '',
    `    page  ${shown(url, LONGEST_URL)}`,
    `    code  ${code}`,
    ...(directUrl === undefined
      ? []
      : ['', 'or open this one, and look whether it shows the same code:', '', `    ${shown(directUrl, LONGEST_URL)}`]),
    '',
    ...qrLines(host, coloured, directUrl ?? url),
    `Waiting for up to ${durationText(validMs)}; Ctrl-C ends it.`,
  ];
  host.stderr.write(`${lines.join('\n')}\n`);
}

/** The link as a QR code, where the terminal is large enough and shows block characters. */
function qrLines({ env, stderr }: Pick<Host, 'env' | 'stderr'>, coloured: boolean, url: string): readonly string[] {
  if (stderr.isTTY !== true || !showsBlocks(env) || url.length > LONGEST_URL) return [];
  const lines = renderUnicodeCompact(url, { border: 2 }).split('\n');
  const width = Math.max(...lines.map(displayWidth));
  if (width > (stderr.columns ?? 0) || lines.length + OTHER_LINES > (stderr.rows ?? 0)) return [];
  return coloured ? [...lines.map((line) => `${PAINT.on}${line}${PAINT.off}`), ''] : [...lines, ''];
}

/** As far as the locale says; on Windows the newer terminal does. */
function showsBlocks(env: Host['env']): boolean {
  if (env.TERM === 'dumb') return false;
  return env.WT_SESSION !== undefined || /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '');
}
