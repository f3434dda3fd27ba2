import { fileError } from '../copy/attempt.ts';
import { isSameRoot } from '../tree/root-identity.ts';
import type { Sync } from './attempt-sync.ts';

/**
 * Remembers which folders the two roots of a watch were. What stands where a disk was unmounted is an empty folder, and a sync that deletes would
 * empty the other side. One that does not delete takes the other folder, all of it.
 */
export interface RootGuard {
  /** Which folder the target must be; undefined: any. */
  readonly target: string | undefined;
  /** @throws TowlineError `file_failed` when the source must not be another folder than before, and is. */
  requireSource(root: string): void;
  /** @throws TowlineError `file_failed` when the target must not be another folder than before, and is. */
  requireTarget(root: string): void;
  /** Whether a root is another folder since the last time that this was asked. */
  takeChange(): boolean;
}

/** A guard for one watch. */
export function createRootGuard({ direction, device, source, target, delete: isDeleting }: Sync): RootGuard {
  const roots: { source?: string; target?: string } = {};
  const far = (path: string) => `${device}:${path}`;
  const places = direction === 'to device' ? { source, target: far(target) } : { source: far(source), target };
  let hasChanged = false;
  const require = (side: 'source' | 'target', root: string) => {
    const before = roots[side] ?? root;
    const isOther = !isSameRoot(before, root);
    if (isOther && isDeleting) throw fileError(places[side], 'other_root');
    hasChanged ||= isOther;
    roots[side] = isOther ? root : before;
  };
  return {
    get target() {
      return isDeleting ? roots.target : undefined;
    },
    requireSource: (root) => require('source', root),
    requireTarget: (root) => require('target', root),
    takeChange() {
      const taken = hasChanged;
      hasChanged = false;
      return taken;
    },
  };
}
