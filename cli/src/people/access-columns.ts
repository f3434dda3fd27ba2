import type { AccessView, ShareView } from '@towline/contract';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText, timeText } from '../output/times.ts';

/** A line of `devices access`: the owner, or a share. */
export interface AccessRow {
  readonly scope: string;
  readonly share: ShareView | null;
}

/** The owner first, then the shares. */
export function accessRows({ owner, shares }: AccessView): readonly AccessRow[] {
  return [{ scope: owner, share: null }, ...shares.map((share) => ({ scope: share.scope, share }))];
}

/** Columns of `devices access`. */
export function accessColumns(now: number): readonly Column<AccessRow>[] {
  return [
    { heading: 'WHO', text: ({ scope }) => shown(scope, 300) },
    { heading: 'ROLE', text: ({ share }) => (share === null ? 'owner' : shown(share.role, 40)) },
    { heading: 'STREAMS', text: ({ share }) => shown(share?.streams?.join(' ') ?? 'all', 80) },
    { heading: 'UNTIL', text: ({ share }) => (share === null || share.until === null ? '' : timeText(share.until)) },
    { heading: 'SHARED', text: ({ share }) => (share === null ? '' : relativeText(share.shared_at, now)) },
    { heading: 'BY', text: ({ share }) => shown(share?.shared_by ?? '', 64) },
  ];
}
