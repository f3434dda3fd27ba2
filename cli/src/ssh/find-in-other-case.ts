import type { DeviceView } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { shown } from '../output/terminal-text.ts';
import { openRelay } from '../relay/access.ts';
import { readList } from '../relay/pages.ts';
import { DEVICE } from '../relay/views.ts';

/** The id of the only device whose name differs from this one in case alone; null when there is none. @throws TowlineError `ambiguous`. */
export async function findInOtherCase(context: Context, name: string): Promise<string | null> {
  using relay = await openRelay(context);
  const list = await readList<DeviceView>(relay.api, { path: '/v1/devices', shape: DEVICE, signal: context.host.signal });
  const wanted = name.toLowerCase();
  const found = list.items.filter((device) => device.name.toLowerCase() === wanted);
  if (found.length <= 1) return found[0]?.id ?? null;
  const names = found.slice(0, 5).map((device) => `${shown(device.name, 64)} (${shown(device.id, 32)})`);
  throw new TowlineError('ambiguous', `“${shown(name, 80)}” fits several devices: ${names.join(', ')}.`, {
    hint: 'OpenSSH makes host names lower-case: use the id, as in ssh ID.towline.',
  });
}
