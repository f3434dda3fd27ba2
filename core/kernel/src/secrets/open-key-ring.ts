import type { RelayConfig } from '@towline/config/relay';
import { type Log, type Store, TowlineError } from '@towline/contract';
import { keyFilePath, makeEncryptionKey, readEncryptionKey } from './key-file.ts';
import { createKeyRing, type KeyRing } from './key-ring.ts';
import { hasSealedMark } from './sealed-mark.ts';
import { sealedKeyIds } from './sealed-values.ts';

/** What {@link openKeyRing} works with. */
export interface KeyRingParts {
  readonly config: Pick<RelayConfig, 'dataDir' | 'encryptionKeys'>;
  readonly store: Pick<Store, 'meta' | 'secrets'>;
  readonly log: Log;
}

/**
 * The keys of the config; behind them that of `encryption.key` where there is one. Without either a key is made, unless
 * something is encrypted already. @throws TowlineError `secret_key_missing`, `credentials_unsafe`, `file_damaged`, `data_unwritable`.
 */
export async function openKeyRing({ config, store, log }: KeyRingParts): Promise<KeyRing> {
  const path = keyFilePath(config.dataDir);
  const kept = await readEncryptionKey(path);
  const keys = [...config.encryptionKeys, ...(kept === null ? [] : [{ bytes: kept }])];
  const takesClear = !(await hasSealedMark(config.dataDir));
  if (keys.length > 0) return createKeyRing(keys, { takesClear });
  const [lost] = await sealedKeyIds(store);
  if (lost !== undefined) {
    throw new TowlineError(
      'secret_key_missing',
      `The store holds what is encrypted with key ${lost}; none is configured, and there is no ${path}.`,
      {
        hint: `Restore ${path} from a backup, or give the key in credentials.encryption_keys.`,
      },
    );
  }
  const ring = createKeyRing([{ bytes: await makeEncryptionKey(path) }], { takesClear });
  log.info(`the key that secrets in the store are encrypted with is in ${path}; keep a copy of it apart from the database`, { file: path });
  return ring;
}
