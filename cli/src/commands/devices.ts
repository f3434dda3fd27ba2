import type { DeviceView, RegistrationView } from '@towline/contract';
import { deviceNameFault, TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { deviceColumns, printDevice } from '../device/device-fields.ts';
import { deviceOfWord } from '../device/device-word.ts';
import { pendingColumns } from '../device/pending-request.ts';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { scopeOption } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { DEVICE, REGISTRATION } from '../relay/views.ts';
import { approveCommand, rejectCommand, removeCommand } from './devices-decisions.ts';
import { accessCommand, shareCommand, transferCommand, unshareCommand } from './devices-sharing.ts';

/** `towline devices …` */
export function devicesCommand(program: Program): Command {
  return new Command('devices')
    .description('list devices, decide who may enrol and who has access, rename and remove')
    .addCommand(listCommand(program))
    .addCommand(showCommand(program))
    .addCommand(approveCommand(program))
    .addCommand(rejectCommand(program))
    .addCommand(removeCommand(program))
    .addCommand(renameCommand(program))
    .addCommand(rotateCommand(program))
    .addCommand(transferCommand(program))
    .addCommand(shareCommand(program))
    .addCommand(unshareCommand(program))
    .addCommand(accessCommand(program));
}

function listCommand(program: Program): Command {
  const command = new Command('list')
    .description('list the devices you can see')
    .option('--pending', 'list requests to enrol instead')
    .option('--scope <scope>', 'only those of this owner: user:EMAIL or org:ID');
  return program.bind(command, async (context, { options }) => {
    const scope = scopeOption(options.scope);
    await (options.pending === true ? listPending(context, scope) : listDevices(context, scope));
    return undefined;
  });
}

async function listDevices({ host, output, globals }: Context, scope: string | undefined): Promise<void> {
  using relay = await openRelay({ host, output, globals });
  const request = { path: '/v1/devices', shape: DEVICE, query: { scope }, signal: host.signal };
  const list = await readList<DeviceView>(relay.api, request);
  if (output.json) output.document(list);
  else output.table(deviceColumns(host.now()), list.items, 'no devices; start a runtime with `towline runtime run` to enrol one');
}

/** The API lists all pending requests; those of one owner are picked here. */
async function listPending({ host, output, globals }: Context, scope: string | undefined): Promise<void> {
  using relay = await openRelay({ host, output, globals });
  const list = await readList<RegistrationView>(relay.api, { path: '/v1/registrations', shape: REGISTRATION, signal: host.signal });
  const items = list.items.filter((request) => scope === undefined || request.owner === scope);
  if (output.json) output.document({ items, next: list.next });
  else output.table(pendingColumns(host.now()), items, 'no requests are waiting');
}

function showCommand(program: Program): Command {
  const command = new Command('show').description('show a device').argument('<device>', 'its id, name, or beginning of its id');
  return program.bind(command, async (context, { args: [word] }) => {
    using relay = await openRelay(context);
    const answer = await relay.api.request('GET', apiPath`/v1/devices/${deviceOfWord(word!)}`, { signal: context.host.signal });
    printOrDocument(context, checkAnswer<DeviceView>(answer, DEVICE));
    return undefined;
  });
}

function renameCommand(program: Program): Command {
  const command = new Command('rename').description('give a device another name').argument('<device>').argument('<name>');
  return program.bind(command, async (context, { args: [word, name] }) => {
    const fault = deviceNameFault(name!);
    if (fault !== null) throw new TowlineError('usage', `The name cannot be used: ${fault}.`, { hint: 'Choose another name.' });
    using relay = await openRelay(context);
    const path = apiPath`/v1/devices/${deviceOfWord(word!)}`;
    const answer = await relay.api.request('PATCH', path, { body: { name }, signal: context.host.signal });
    const device = checkAnswer<DeviceView>(answer, DEVICE);
    if (context.output.json) context.output.document(device);
    else context.output.line(`renamed ${shown(device.id)} to ${shown(device.name)}`);
    return undefined;
  });
}

function rotateCommand(program: Program): Command {
  const command = new Command('rotate').description('renew the key of a device that is online').argument('<device>');
  return program.bind(command, async (context, { args: [word] }) => {
    using relay = await openRelay(context);
    const path = apiPath`/v1/devices/${deviceOfWord(word!)}/rotate`;
    const answer = await relay.api.request('POST', path, { signal: context.host.signal });
    const { key_id } = checkAnswer<{ key_id: string }>(answer, { key_id: 'text' });
    if (context.output.json) context.output.document(answer);
    else context.output.line(`sent key ${shown(key_id)} to the device; the old one ends when the device links with the new one`);
    return undefined;
  });
}

function printOrDocument({ host, output }: Context, device: DeviceView): void {
  if (output.json) output.document(device);
  else printDevice(output, device, host.now());
}
