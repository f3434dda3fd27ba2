import type { AuditEvent, Clock, Log } from '@towline/contract';
import type { DeviceLink, DeviceRegistry, Replaced } from './registry.ts';
import { retire } from './retire.ts';

/** What the links of a device give way with. */
export interface GivingWay {
  readonly registry: DeviceRegistry;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Has the links in whose place another came end: now, or when their streams are over. */
export async function giveWay(parts: GivingWay, next: DeviceLink, { retiring, dismissed }: Replaced): Promise<void> {
  if (retiring !== null) stayForStreams(parts, retiring, next);
  const [previous] = dismissed;
  if (previous === undefined) return;
  const two = previous.instance !== next.instance;
  const text = two
    ? `Another runtime with the identity of this device connected from ${next.address} (host ${next.hostname}).`
    : `A newer connection from ${next.address} took over.`;
  // A runtime that gave way to another stops; one that gave way to itself must come back.
  for (const link of dismissed) void link.dismiss(two ? 'device_replaced' : 'device_lost', text);
  const detail = { old_address: previous.address, new_address: next.address, old_hostname: previous.hostname, new_hostname: next.hostname };
  parts.log.warn(two ? 'two runtimes share one identity; the newer replaced the older' : 'a device connection was replaced', {
    device: next.device.id,
    ...detail,
  });
  if (two) await recordReplaced(parts, next, detail);
}

function stayForStreams({ registry, log }: GivingWay, older: DeviceLink, next: DeviceLink): void {
  log.info('a device took up another link; the older one stays for its streams', {
    device: next.device.id,
    name: next.device.name,
    from: older.transport,
    to: next.transport,
    streams: older.link.stats.openStreams,
  });
  retire(older, registry);
}

function recordReplaced({ audit, clock }: GivingWay, next: DeviceLink, detail: Readonly<Record<string, string>>): Promise<void> {
  const { id, name, owner } = next.device;
  return audit({
    at: clock.now(),
    action: 'device.replaced',
    actor: { kind: 'device', id: `device:${id}`, label: name },
    address: next.address,
    device: { id, name },
    owner,
    outcome: 'ok',
    detail,
  });
}
