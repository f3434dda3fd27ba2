import { TowlineError } from '@towline/protocol';

/** One end of a copy: a path here, or one on a device. */
export type Place = { readonly device: string; readonly path: string } | { readonly device: null; readonly path: string };

/** Before a name that would otherwise be taken for something else. */
const PREFIX = 'device:';

/**
 * Reads a word: `D:PATH` names the device side, everything else is a path here. A word is a path here when a slash comes before its
 * first colon, as in `./a:b`. @throws TowlineError `usage`.
 */
export function readPlace(word: string): Place {
  if (word === '') throw new TowlineError('usage', 'A path cannot be empty; `.` is the folder you are in.');
  const isExplicit = word.startsWith(PREFIX);
  const rest = isExplicit ? word.slice(PREFIX.length) : word;
  const colon = rest.indexOf(':');
  const slash = rest.indexOf('/');
  if (colon < 0 || (!isExplicit && slash >= 0 && slash < colon)) {
    if (isExplicit) throw new TowlineError('usage', `“${word}” names a device without a path.`, { hint: 'Use device:NAME:PATH.' });
    return { device: null, path: word };
  }
  if (colon === 0)
    throw new TowlineError('usage', `“${word}” names no device before its colon.`, { hint: 'A path here is written ./:name.' });
  return { device: rest.slice(0, colon), path: rest.slice(colon + 1) };
}

/** What is copied from where to where. */
export interface CopyPlan {
  readonly direction: 'to device' | 'from device';
  readonly device: string;
  /** Paths on the side that is read. */
  readonly sources: readonly string[];
  /** Path on the side that is written. */
  readonly target: string;
}

/** Reads the words of a copy. @throws TowlineError `usage`. */
export function planCopy(words: readonly string[]): CopyPlan {
  if (words.length < 2) {
    throw new TowlineError('usage', 'A copy needs what to copy and where to.', {
      hint: 'Use `towline cp FILE DEVICE:PATH` or `towline cp DEVICE:FILE PATH`.',
    });
  }
  const places = words.map(readPlace);
  const target = places.at(-1)!;
  const sources = places.slice(0, -1);
  const devices = new Set(sources.map(({ device }) => device));
  if (devices.size > 1)
    throw new TowlineError('usage', 'All that is copied must be on one side.', { hint: 'Copy from each side for itself.' });
  const source = sources[0]!.device;
  if (source !== null && target.device !== null) {
    throw new TowlineError('usage', 'Files are not copied from one device to another.', {
      hint: 'Copy them to this machine first, and from here to the other device.',
    });
  }
  const device = source ?? target.device;
  if (device === null) {
    throw new TowlineError('usage', 'Neither side is on a device.', { hint: 'Write DEVICE:PATH for the one that is; cp(1) copies here.' });
  }
  return {
    direction: source === null ? 'to device' : 'from device',
    device,
    sources: sources.map(({ path }) => path),
    target: target.path,
  };
}
