import type { DeviceView } from '@towline/contract';
import type { Output } from '../output/output.ts';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';

/** Digits of an id shown in a table: enough to be unambiguous, and accepted wherever a device is named. */
const SHORT_ID = 12;

/** Columns of `devices list`. */
export function deviceColumns(now: number): readonly Column<DeviceView>[] {
  return [
    { heading: 'NAME', text: (device) => shown(device.name, 64) },
    { heading: 'STATE', text: stateOf, colour: (device, colours) => (device.online ? colours.green : colours.yellow) },
    { heading: 'ID', text: (device) => shown(device.id, SHORT_ID + 1).slice(0, SHORT_ID) },
    { heading: 'OWNER', text: (device) => shown(device.owner, 80) },
    { heading: 'PLATFORM', text: (device) => shown(`${device.facts.platform}/${device.facts.arch}`, 40) },
    { heading: 'SEEN', text: (device) => (device.online ? 'now' : relativeText(device.last_seen_at, now)) },
  ];
}

/** Prints everything that is known of a device. */
export function printDevice(output: Output, device: DeviceView, now: number): void {
  const { facts, link } = device;
  output.fields([
    ['name', shown(device.name)],
    ['id', shown(device.id)],
    ['state', device.online ? output.colours.green('online') : output.colours.yellow('offline')],
    ['link', link && `${shown(link.transport)} from ${shown(link.address)}, since ${relativeText(link.since, now)}`],
    // What the device says of the way it came: why not by a better one.
    [`why ${shown(link?.transport ?? '', 20)}`, link?.transport_note && shown(link.transport_note, 400)],
    ['last seen', device.online || device.last_seen_at === null ? null : lastSeen(device, now)],
    ['owner', shown(device.owner, 320)],
    ['your role', shown(device.role, 40)],
    ['fingerprint', shown(device.fingerprint)],
    ['host', shown(facts.hostname, 255)],
    ['platform', shown(`${facts.platform}/${facts.arch}`)],
    ['runtime', shown(facts.version)],
    ['serves', device.serves.map((protocol) => shown(protocol, 80)).join(' ')],
    ['enrolled', `${relativeText(device.enrolled_at, now)} by ${shown(device.enrolled_by)}`],
  ]);
}

function stateOf(device: DeviceView): string {
  return device.online ? 'online' : 'offline';
}

function lastSeen(device: DeviceView, now: number): string {
  const from = device.last_address === null ? '' : ` from ${shown(device.last_address)}`;
  return `${relativeText(device.last_seen_at, now)}${from}`;
}
