import { lstat, readlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Links that are followed for one path: as many as Linux follows. */
const MAX_LINKS = 40;

/**
 * What a listed path really is. Links are followed if they were made by root or by the user of this program: the owner of a folder
 * could otherwise have what was listed lead to any socket that this program, but not that owner, may use. Null when there is nothing.
 */
export async function trustedPathOf(listed: string): Promise<string | null> {
  try {
    let path = listed;
    for (let links = 0; links <= MAX_LINKS; links += 1) {
      const next = await withFirstLinkFollowed(path);
      if (next === path || next === null) return next;
      path = next;
    }
    return null;
  } catch {
    return null;
  }
}

/** The path itself when it has no link in it; null for a link of somebody else. */
async function withFirstLinkFollowed(path: string): Promise<string | null> {
  const parts = path.split('/').slice(1);
  for (let count = 1; count <= parts.length; count += 1) {
    const part = `/${parts.slice(0, count).join('/')}`;
    const found = await lstat(part);
    if (!found.isSymbolicLink()) continue;
    if (found.uid !== 0 && found.uid !== process.getuid?.()) return null;
    return join(resolve(dirname(part), await readlink(part)), ...parts.slice(count));
  }
  return path;
}
