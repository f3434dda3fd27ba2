import { TowlineError } from '@towline/contract';
import { type ResealedSecrets, rotateSecrets } from '@towline/kernel';
import { printable } from '@towline/protocol';
import type { LocationOptions } from '../program.ts';
import { withStore } from '../with-store.ts';

/** `towline-relay secrets rotate`: can be repeated until it is done. What cannot be decrypted is told when all else is done. */
export async function rotateSecretsCommand(options: LocationOptions): Promise<void> {
  await withStore(options, async ({ openKeys, ...parts }) => {
    const keys = await openKeys();
    const rotated = await rotateSecrets(parts, keys);
    process.stdout.write(`${rotated.sealed} encrypted anew with key ${keys.current}, ${rotated.current} were already\n`);
    if (rotated.failed > 0) throw unfinished(rotated);
  });
}

function unfinished({ failed, faults }: ResealedSecrets): TowlineError {
  for (const { message } of faults) process.stderr.write(`${printable(message)}\n`);
  return new TowlineError(
    faults[0]!.code,
    `${failed} ${failed === 1 ? 'secret' : 'secrets'} could not be decrypted and stay as they are.`,
    {
      hint: 'Give the keys that are named behind the first in credentials.encryption_keys and run it again; have what is damaged set anew or removed.',
    },
  );
}
