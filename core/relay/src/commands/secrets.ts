import { rotateSecrets } from '@towline/kernel';
import type { LocationOptions } from '../program.ts';
import { withStore } from '../with-store.ts';

/** `towline-relay secrets rotate`: can be repeated until it is done. */
export async function rotateSecretsCommand(options: LocationOptions): Promise<void> {
  await withStore(options, async ({ openKeys, ...parts }) => {
    const keys = await openKeys();
    const { sealed, current } = await rotateSecrets(parts, keys);
    process.stdout.write(`${sealed} encrypted anew with key ${keys.current}, ${current} were already\n`);
  });
}
