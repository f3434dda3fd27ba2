import { isTowlineError, printable, TowlineError, toTowlineError } from '@towline/protocol';
import { joinStandardStreams } from '@towline/stream-forward/cli';
import type { Context } from '../context.ts';
import { createDeviceLink } from '../device/device-link.ts';
import { deviceOfWord } from '../device/device-word.ts';
import { cliHost } from '../device/stream-verb.ts';
import { errorText } from '../output/report-error.ts';
import { shown } from '../output/terminal-text.ts';
import { deviceOfHost } from './host-pattern.ts';

/** Where `ssh proxy` goes when it is not told: the device itself, whatever its name service says. */
const DEVICE_ITSELF = '127.0.0.1';

/** Words of `ssh proxy`. */
export interface ProxyWords {
  /** Device, with `.towline` behind it or without. */
  readonly host: string;
  readonly port: string;
  /** Host behind the device. */
  readonly to: string | undefined;
}

/**
 * Joins stdin and stdout to a TCP port of a device. What fails is told in one line, as OpenSSH tells it: its own messages follow.
 * Resolves with the exit code.
 */
export async function runProxy(context: Context, words: ProxyWords): Promise<number> {
  const { host, output, globals } = context;
  try {
    await join(context, words);
    return 0;
  } catch (thrown) {
    const error = explained(toTowlineError(thrown), words);
    if (output.json || globals.verbose) host.stderr.write(errorText(error, globals));
    else host.stderr.write(`${oneLine(error)}${host.stderr.isTTY === true ? '\r\n' : '\n'}`);
    return error.exit;
  }
}

async function join(context: Context, words: ProxyWords): Promise<void> {
  const port = readPort(words.port);
  const named = deviceOfWord(deviceOfHost(words.host));
  if (named === '') throw new TowlineError('usage', 'No device is named.', { hint: 'Use `towline ssh proxy DEVICE.towline PORT`.' });
  await using link = createDeviceLink(context);
  const target = { host: words.to ?? DEVICE_ITSELF, port };
  try {
    await joinStandardStreams(target, cliHost(context, link, named));
  } catch (error) {
    const meant = isTowlineError(error) && error.code === 'not_found' ? await inOtherCase(context, named) : null;
    if (meant === null) throw error;
    await joinStandardStreams(target, cliHost(context, link, meant));
  }
}

/** OpenSSH makes the names of hosts lower-case. The id of the only device whose name differs in case alone; null when there is none. */
async function inOtherCase(context: Context, named: string): Promise<string | null> {
  return (await import('./find-in-other-case.ts')).findInOtherCase(context, named);
}

function readPort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new TowlineError('usage', `“${shown(text, 40)}” is no port.`, { hint: 'A port is a number from 1 to 65535.' });
}

/** The same error in the words of somebody who typed `ssh`. */
function explained(error: TowlineError, { host, port, to }: ProxyWords): TowlineError {
  if (error.code !== 'target_refused') return error;
  const where =
    to === undefined ? `Nothing listens on port ${port} of “${deviceOfHost(host)}”` : `Nothing listens on port ${port} of ${to}`;
  return new TowlineError('target_refused', `${where}.`, {
    hint: 'Start the SSH server there, or say which port it has with -p.',
    cause: error,
  });
}

function oneLine({ message, hint }: TowlineError): string {
  return `towline: ${[message, hint].map((text) => printable(text.replace(/\s+/g, ' ').trim())).join(' ')}`;
}
