import type { KeyView } from '@towline/contract';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';

/** Columns of `keys list`. */
export function keyColumns(now: number): readonly Column<KeyView>[] {
  return [
    { heading: 'ID', text: (key) => shown(key.id, 40) },
    { heading: 'NAME', text: (key) => shown(key.name, 64) },
    { heading: 'KIND', text: (key) => shown(key.kind, 40) },
    {
      heading: 'STATE',
      text: (key) => shown(key.state, 40),
      colour: (key, colours) => (key.state === 'valid' ? colours.green : colours.red),
    },
    { heading: 'OWNER', text: (key) => shown(key.owner, 80) },
    { heading: 'USED', text: (key) => relativeText(key.last_used_at, now) },
    { heading: 'EXPIRES', text: (key) => relativeText(key.expires_at, now) },
    { heading: 'LIMITS', text: (key) => shown(limitsOf(key), 200) },
  ];
}

/** What the key is limited to, in words; nothing: it may what its user may. */
function limitsOf({ admin, scopes, streams, devices, remaining }: KeyView): string {
  const parts = [
    admin ? 'platform admin' : '',
    scopes.map(({ scope, role }) => `${scope}=${role}`).join(' '),
    streams && `streams ${streams.join(' ')}`,
    devices && `devices ${devices.join(' ')}`,
    typeof remaining === 'number' ? `${remaining} devices left` : '',
  ];
  return parts.filter(Boolean).join(', ');
}
