import { TowlineError } from '@towline/contract';
import { rotateStoredSecrets } from '@towline/kernel';
import { readConfig } from '../location.ts';
import type { LocationOptions } from '../program.ts';
import { withStore } from '../with-store.ts';

/** `towline-relay grants rotate`: a running relay uses the new key within a second. */
export async function rotateGrantsCommand(options: LocationOptions): Promise<void> {
  if (readConfig(options).forwardSecrets.length > 0) {
    throw new TowlineError(
      'usage',
      'The grant keys come from the config: put a new secret first in forward_secrets and restart the relay.',
      {
        hint: 'Keep the old secret behind it until every device has linked once.',
      },
    );
  }
  const ring = await withStore(options, async ({ store, audit, clock, openKeys }) => {
    const rotated = await rotateStoredSecrets(store.meta, await openKeys());
    await audit({
      at: clock.now(),
      action: 'grant_key.rotated',
      actor: { kind: 'operator', id: 'operator', label: 'operator of the relay' },
      outcome: 'ok',
      detail: { key: rotated.current.id },
    });
    return rotated;
  });
  process.stdout.write(`grants are signed with key ${ring.current.id} from now on\n`);
}
