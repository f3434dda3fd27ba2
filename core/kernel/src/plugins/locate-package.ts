import { realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// The form that npm allows, without what could leave a node_modules folder.
const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i;

/** Whether a name under `plugins` is a path (`./x`, `../x`, `/x`) and not the name of a package. */
export function isPathName(name: string): boolean {
  return isAbsolute(name) || /^\.\.?(?:\/|$)/.test(name);
}

/** Whether a name may be that of a package. */
export function isPackageName(name: string): boolean {
  return name.length <= 214 && PACKAGE_NAME.test(name);
}

/** Path of a place given as path or file: URL. */
export function toPath(place: string): string {
  return resolve(place.startsWith('file:') ? fileURLToPath(place) : place);
}

/** Folder of a package as Node would find it from a place, by looking at files only: nothing is imported. Null when there is none. */
export function locatePackage(name: string, from: string): string | null {
  if (isPathName(name)) return packageFolder(resolve(from, name));
  for (let place = from; ; place = dirname(place)) {
    const found = packageFolder(join(place, 'node_modules', name));
    if (found !== null || place === dirname(place)) return found;
  }
}

function packageFolder(folder: string): string | null {
  const isFile = statSync(join(folder, 'package.json'), { throwIfNoEntry: false })?.isFile() ?? false;
  return isFile ? realpathSync(folder) : null;
}
