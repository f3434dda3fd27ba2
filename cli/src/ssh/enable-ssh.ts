import { join } from 'node:path';
import { userFolder } from '@towline/config/user-files';
import { parseRelayUrl } from '@towline/link';
import { TowlineError, toTowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { shown } from '../output/terminal-text.ts';
import { ensureSshFolder, type FoundConfig, readConfigFile, replaceConfigFile } from './config-file.ts';
import { HOST_BLOCK_HEAD, hostBlock } from './host-block.ts';
import { withInclude } from './include-line.ts';
import { checkOpenSsh } from './openssh-version.ts';
import { findSshFiles, type SshFiles } from './ssh-files.ts';

/** The program itself: this file is in `src` or `dist`, two folders below. */
const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'towline.js');
/** What decides where `ssh proxy` connects, and as whom, besides what is written down. */
const VARIABLES: readonly string[] = Object.freeze([
  ...[
    'TOWLINE_RELAY',
    'TOWLINE_PROFILE',
    'TOWLINE_CONFIG_DIR',
    'XDG_CONFIG_HOME',
    'TOWLINE_API_KEY',
    'TOWLINE_API_KEY_FILE',
    'M87_API_KEY',
  ],
  ...['M87_API_KEY_FILE', 'TOWLINE_CA_FILE', 'TOWLINE_TLS_FINGERPRINT', 'TOWLINE_TRUST_INVALID_CERT', 'M87_TRUST_INVALID_CERT'],
]);

/**
 * Has OpenSSH reach `DEVICE.towline` through the relay: writes a file of ours, and includes it in the user's config, which stays as it
 * is otherwise. Done again, it changes what differs. @throws TowlineError when something cannot be changed safely; it is left then.
 */
export async function enableSsh(context: Context, file: string | undefined): Promise<void> {
  const { output, host } = context;
  if (process.platform === 'win32')
    throw new TowlineError('unavailable', 'The OpenSSH of Windows is not supported yet. Nothing was written.');
  const files = findSshFiles(file);
  const command = commandWords(context);
  const block = Buffer.from(hostBlock(command), 'utf8').toString('latin1');
  await checkOpenSsh(context);
  await ensureSshFolder(files.folder);
  const [included, config] = [await readOwnFile(files.included), await readConfigFile(files.config)];
  // First what is included, so that there is no moment in which half of it holds.
  const ownChanged = await change(included, block);
  const configChanged = await change(config, withInclude(config.text, files.includeWord)).catch((error: unknown) => {
    throw byHand(toTowlineError(error), files);
  });
  const changed = ownChanged || configChanged;
  if (output.json) output.document({ enabled: true, changed, config: files.config, included: files.included, command });
  else output.line(`ssh DEVICE.towline ${changed ? 'goes' : 'went already'} through the relay: ${shown(files.config, 400)}`);
  const set = VARIABLES.filter((name) => host.env[name]);
  if (set.length > 0) output.note(`${set.join(', ')}: set here, and not written down; ssh sees what is set where it is started`);
}

/** Reads our own file. @throws TowlineError `conflict` when somebody else has one of that name. */
export async function readOwnFile(path: string): Promise<FoundConfig> {
  const found = await readConfigFile(path);
  if (found.stats === null || found.text === '' || found.text.startsWith(HOST_BLOCK_HEAD)) return found;
  throw new TowlineError('conflict', `${shown(path, 400)} was not written by Towline. It was left as it is.`, {
    hint: 'Give that file another name, and where it is included too.',
  });
}

async function change(found: FoundConfig, text: string): Promise<boolean> {
  if (found.stats !== null && found.text === text) return false;
  await replaceConfigFile(found, text);
  return true;
}

/** Where the config is made by another program, its owner can have the line put there. */
function byHand(error: TowlineError, { includeWord }: SshFiles): TowlineError {
  if (error.code !== 'data_unwritable') return error;
  const hint = `Check its owner and mode. Where another program manages it, have this line at its top: Include ${includeWord}`;
  return new TowlineError(error.code, error.message, { hint, cause: error });
}

/** What OpenSSH is to run, with the absolute paths of today: it may be started where PATH is another. */
function commandWords({ globals: { profile, relay, transport }, host: { env } }: Context): string[] {
  // A name that is none is refused now, and not when somebody connects.
  userFolder({ env, profile });
  const options = [
    ...(profile === undefined ? [] : ['--profile', profile]),
    ...(relay === undefined ? [] : ['--relay', parseRelayUrl(relay).origin]),
    ...(transport === 'tls' ? [] : ['--transport', transport]),
  ];
  return [process.execPath, PROGRAM, ...options, 'ssh', 'proxy', '--'];
}
