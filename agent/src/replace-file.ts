import { rename, writeFile } from 'node:fs/promises';

/**
 * Replaces a small file (0600) as a whole: whoever reads sees all of the old or all of the new. One caller at a time.
 * Nothing waits for the disk, so after a loss of power the file may be damaged. @throws what the file system reports.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
