import { readFileSync, type Stats } from 'node:fs';

/**
 * Which folder the root of a tree is, as text: number, when it was made (0 where the file system does not know), device and the boot of the
 * system. Compared with {@link isSameRoot} it tells one folder from what stands in its place when a disk is unmounted, and from one that was made
 * anew: numbers are given again at once.
 */
export function rootOf({ ino, dev, birthtimeMs }: Pick<Stats, 'ino' | 'dev' | 'birthtimeMs'>): string {
  return `${ino} ${Math.trunc(birthtimeMs)} ${dev} ${bootOf()}`;
}

/** Whether two are one folder. Numbers of devices are given anew by each boot; the folder keeps its own. */
export function isSameRoot(left: string, right: string): boolean {
  const [ino, made, dev, boot] = left.split(' ');
  const [otherIno, otherMade, otherDev, otherBoot] = right.split(' ');
  return ino === otherIno && made === otherMade && (dev === otherDev || boot !== otherBoot);
}

/** A name of this boot; none where the system gives it none. */
function bootOf(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '-';
  }
}
