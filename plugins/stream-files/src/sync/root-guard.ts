import { fileError } from '../copy/attempt.ts';
import { isSameRoot } from '../tree/root-identity.ts';
import type { Sync } from './attempt-sync.ts';

/**
 * Remembers which folders the two roots were at first. What stands where a disk was unmounted is an empty folder, and a sync that deletes would empty
 * the other side.
 */
export interface RootGuard {
  /** Which folder the target was; undefined before the first run. */
  readonly target: string | undefined;
  /** @throws TowlineError `file_failed` when the source is another folder now. */
  requireSource(root: string): void;
  /** @throws TowlineError `file_failed` when the target is another folder now. */
  requireTarget(root: string): void;
}

/** A guard for one watch. */
export function createRootGuard({ direction, device, source, target }: Sync): RootGuard {
  const roots: { source?: string; target?: string } = {};
  const far = (path: string) => `${device}:${path}`;
  const places = direction === 'to device' ? { source, target: far(target) } : { source: far(source), target };
  const require = (side: 'source' | 'target', root: string) => {
    roots[side] ??= root;
    if (!isSameRoot(roots[side], root)) throw fileError(places[side], 'other_root');
  };
  return {
    get target() {
      return roots.target;
    },
    requireSource: (root) => require('source', root),
    requireTarget: (root) => require('target', root),
  };
}
