import type { Folder } from './folder.ts';

/** Opens a folder below another one, name by name, no link followed. @throws system errors. */
export async function openWay(root: Folder, way: readonly Buffer[]): Promise<Folder> {
  let folder = root.retain();
  for (const name of way) {
    const next = await folder.child(name).finally(() => folder.release());
    folder = next;
  }
  return folder;
}
