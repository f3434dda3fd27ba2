import type { Context } from '../context.ts';
import { shown } from '../output/terminal-text.ts';
import { readConfigFile, removeConfigFile, replaceConfigFile } from './config-file.ts';
import { readOwnFile } from './enable-ssh.ts';
import { withoutInclude } from './include-line.ts';
import { findSshFiles } from './ssh-files.ts';

/** Takes our line out of the user's config of OpenSSH, and removes our file; what else is there stays as it is. @throws TowlineError */
export async function disableSsh({ output }: Context, file: string | undefined): Promise<void> {
  const files = findSshFiles(file);
  const [included, config] = [await readOwnFile(files.included), await readConfigFile(files.config)];
  const text = withoutInclude(config.text, files.includeWord);
  const isNamed = text !== config.text;
  if (isNamed) await replaceConfigFile(config, text);
  if (included.stats !== null) await removeConfigFile(included);
  const changed = isNamed || included.stats !== null;
  if (output.json) output.document({ enabled: false, changed, config: files.config, included: files.included });
  else output.line(`ssh DEVICE.towline ${changed ? 'goes through the relay no more' : 'was not enabled'}: ${shown(files.config, 400)}`);
}
