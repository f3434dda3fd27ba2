import { userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';

/** The files of OpenSSH that a user has, as far as they concern us. */
export interface SshFiles {
  /** Folder of both. */
  readonly folder: string;
  /** Config of the user, to which a line is added. */
  readonly config: string;
  /** Config of ours, which that line includes. */
  readonly included: string;
  /** The included file as that line names it. */
  readonly includeWord: string;
}

/** Name of our file, beside that of the user. */
const INCLUDED = 'towline.conf';
/** What quotes of OpenSSH do not keep as it is, or its patterns of file names would take for something else. */
const UNQUOTABLE = /[\p{Cc}"'\\*?[\]{}~$%]/u;

/** Finds the files: of the user, or beside the config named by `--file`. @throws TowlineError `usage`. */
export function findSshFiles(file: string | undefined): SshFiles {
  const config = file === undefined ? join(homeOfUser(), '.ssh', 'config') : resolve(file);
  const folder = dirname(config);
  const included = join(folder, INCLUDED);
  if (basename(config) === INCLUDED) throw new TowlineError('usage', `${shown(config, 400)} is where Towline keeps its own part.`);
  if (UNQUOTABLE.test(included)) {
    throw new TowlineError('usage', `OpenSSH could not include a file of the folder ${shown(folder, 400)}: its name has odd characters.`, {
      hint: 'Keep the config in a folder whose path has letters, digits, spaces, dots, dashes and underscores.',
    });
  }
  // Of a name without a folder OpenSSH finds the home by HOME, and that of the config by the list of users.
  return { folder, config, included, includeWord: `"${included}"` };
}

/** OpenSSH goes by the list of users, and not by HOME. */
function homeOfUser(): string {
  try {
    return userInfo().homedir;
  } catch (cause) {
    throw new TowlineError('usage', 'This user has no home folder that OpenSSH could know.', { hint: 'Name a config with --file.', cause });
  }
}
