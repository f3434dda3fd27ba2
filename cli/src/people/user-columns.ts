import type { UserView } from '@towline/contract';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';

/** Columns of `users list`. The id comes last and whole: it may be long, and is what `users disable` takes. */
export function userColumns(now: number): readonly Column<UserView>[] {
  return [
    { heading: 'USER', text: (user) => shown(user.label, 64) },
    { heading: 'E-MAIL', text: (user) => shown(user.email ?? '', 254) },
    {
      heading: 'STATE',
      text: (user) => (user.disabled ? 'disabled' : 'enabled'),
      colour: (user, colours) => (user.disabled ? colours.red : colours.green),
    },
    { heading: 'KNOWN BY', text: (user) => shown(user.provider, 40) },
    { heading: 'SEEN', text: (user) => relativeText(user.last_seen_at, now) },
    { heading: 'ID', text: (user) => shown(user.id, 512) },
  ];
}
