import type { AccessView, DeviceView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import type { Scope } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { deviceOfWord } from '../device/device-word.ts';
import type { Program, Typed } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { accessColumns, accessRows } from '../people/access-columns.ts';
import { canAsk, confirm } from '../people/confirm.ts';
import { readMomentAhead } from '../people/moment-ahead.ts';
import { readScope, repeatable, roleOption, textOf, valuesOf } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { apiPath } from '../relay/paths.ts';
import { checkAccess, DEVICE } from '../relay/views.ts';

const DEVICE_WORD = 'its id, name, or beginning of its id';
const WHO_WORD = 'user:EMAIL or org:ID';

/** `towline devices share` */
export function shareCommand(program: Program): Command {
  const command = new Command('share')
    .description('give somebody access to a device, or change it')
    .argument('<device>', DEVICE_WORD)
    .argument('<who>', WHO_WORD)
    .addOption(roleOption('most that they may do with it'))
    .addOption(repeatable('--stream <kind>', 'limit it to this kind of stream, as shell or exec'))
    .option('--until <time>', 'when it ends: `8h` or `7d` from now, or RFC 3339');
  return program.bind(command, async (context, { args: [word, who], options }) => {
    const scope = readScope(who!);
    const body = shareBody(options, context.host.now());
    using relay = await openRelay(context);
    const path = apiPath`/v1/devices/${deviceOfWord(word!)}/access/${scope}`;
    const access = checkAccess(await relay.api.request('PUT', path, { body, signal: context.host.signal }));
    if (context.output.json) context.output.document(access);
    else context.output.line(`shared ${shown(word!)} with ${shown(scope, 300)}: ${limitsText(body)}`);
    return undefined;
  });
}

interface ShareBody {
  readonly role: string;
  readonly streams?: readonly string[];
  readonly until?: string;
}

function shareBody(options: Typed['options'], now: number): ShareBody {
  const streams = valuesOf(options.stream);
  const until = textOf(options.until);
  return {
    role: textOf(options.role)!,
    ...(streams === undefined ? {} : { streams }),
    ...(until === undefined ? {} : { until: readMomentAhead(until, '--until', now) }),
  };
}

function limitsText({ role, streams, until }: ShareBody): string {
  const parts = [role, streams && `only ${shown(streams.join(' '))}`, until && `until ${until.replace(/\.\d+Z$/, 'Z')}`];
  return parts.filter(Boolean).join(', ');
}

/** `towline devices unshare` */
export function unshareCommand(program: Program): Command {
  const command = new Command('unshare')
    .description('take access to a device back: what it opened ends at once')
    .argument('<device>', DEVICE_WORD)
    .argument('<who>', WHO_WORD);
  return program.bind(command, async (context, { args: [word, who] }) => {
    const scope = readScope(who!);
    using relay = await openRelay(context);
    const path = apiPath`/v1/devices/${deviceOfWord(word!)}/access/${scope}`;
    await relay.api.request('DELETE', path, { signal: context.host.signal });
    if (context.output.json) context.output.document({ removed: scope });
    else context.output.line(`${shown(scope, 300)} has no share of ${shown(word!)} any more`);
    return undefined;
  });
}

/** `towline devices access` */
export function accessCommand(program: Program): Command {
  const command = new Command('access').description('show who may reach a device').argument('<device>', DEVICE_WORD);
  return program.bind(command, async (context, { args: [word] }) => {
    const { host, output } = context;
    using relay = await openRelay(context);
    const access = await readAccess(relay.api, deviceOfWord(word!), host.signal);
    if (output.json) output.document(access);
    else output.table(accessColumns(host.now()), accessRows(access), 'nobody');
    return undefined;
  });
}

/** `towline devices transfer` */
export function transferCommand(program: Program): Command {
  const command = new Command('transfer')
    .description('give a device to another owner; its shares end')
    .argument('<device>', DEVICE_WORD)
    .argument('<scope>', `the new owner: ${WHO_WORD}`)
    .option('--yes', 'do not ask on the terminal');
  return program.bind(command, async (context, { args: [word, to], options }) => {
    const owner = readScope(to!);
    const { host, output } = context;
    using relay = await openRelay(context);
    const named = deviceOfWord(word!);
    const id = options.yes !== true && canAsk(host) ? await confirmTransfer(context, relay.api, { named, owner }) : named;
    const answer = await relay.api.request('POST', apiPath`/v1/devices/${id}/transfer`, { body: { owner }, signal: host.signal });
    const device = checkAnswer<DeviceView>(answer, DEVICE);
    if (output.json) output.document(device);
    else output.line(`${shown(device.name)} (${shown(device.id)}) belongs to ${shown(device.owner, 300)} now`);
    return undefined;
  });
}

/** @returns the id of the device that was shown: no other of that name is given away, whatever happens meanwhile. */
async function confirmTransfer(
  context: Context,
  api: ApiClient,
  { named, owner }: { readonly named: string; readonly owner: Scope },
): Promise<string> {
  const { signal } = context.host;
  const device = checkAnswer<DeviceView>(await api.request('GET', apiPath`/v1/devices/${named}`, { signal }), DEVICE);
  const { shares } = await readAccess(api, device.id, signal);
  const ends = shares.length === 0 ? '' : ` Its shares end: ${shares.map(({ scope }) => shown(scope, 80)).join(', ')}.`;
  await confirm(context, `Give ${shown(device.name)} (${shown(device.id)}) of ${shown(device.owner, 300)} to ${shown(owner, 300)}?${ends}`);
  return device.id;
}

async function readAccess(api: ApiClient, device: string, signal: AbortSignal): Promise<AccessView> {
  return checkAccess(await api.request('GET', apiPath`/v1/devices/${device}/access`, { signal }));
}
