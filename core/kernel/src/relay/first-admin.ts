import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createKey, type RescueParts } from '../rescue/keys.ts';

/** Length of a key's text and the line feed behind it. */
const KEY_FILE_BYTES = 88;

/**
 * On an empty store without a login provider nobody could get in: writes the API key of a platform admin to
 * `admin.key` in the data folder (0600). Answers the path, or null when there are keys already.
 */
export async function writeFirstAdminKey(parts: RescueParts, dataDir: string): Promise<string | null> {
  const { items } = await parts.store.keys.list({ kind: 'user', includeRevoked: true }, { limit: 1 }, SYSTEM_SCOPE);
  if (items.length > 0) return null;
  const path = join(dataDir, 'admin.key');
  await unlink(path).catch(() => {});
  const file = await open(path, 'wx', 0o600);
  try {
    // Room on the disk first: a key that was made and could not be written down would leave the relay without any way in.
    await file.write(Buffer.alloc(KEY_FILE_BYTES, '\n'), 0, KEY_FILE_BYTES, 0);
    await file.sync();
    const { key } = await createKey(parts, { for: 'admin', name: 'first admin' });
    await file.write(Buffer.from(key), 0, key.length, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
}
