import type { DeviceView, RegistrationView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { isId, isTowlineError, TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import { deviceOfWord } from '../device/device-word.ts';
import { findPending } from '../device/pending-request.ts';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { apiPath } from '../relay/paths.ts';
import { DEVICE } from '../relay/views.ts';

/** `towline devices approve` */
export function approveCommand(program: Program): Command {
  const command = new Command('approve')
    .description('let a device in that asked to enrol')
    .argument('<request>', 'id of the request; compare the fingerprint with the one the device prints');
  return program.bind(command, async (context, { args: [text] }) => {
    using relay = await openRelay(context);
    const { signal } = context.host;
    // A whole id may be that of a request decided already: the relay says so better than a list that lacks it.
    const id = (await findPending(relay.api, { text: text!, orByDevice: false }, signal))?.id ?? wholeId(text!);
    const device = checkAnswer<DeviceView>(await relay.api.request('POST', apiPath`/v1/registrations/${id}/approve`, { signal }), DEVICE);
    if (context.output.json) context.output.document(device);
    else context.output.line(`approved ${shown(device.name)} (${shown(device.id)}), fingerprint ${shown(device.fingerprint)}`);
    return undefined;
  });
}

/** `towline devices reject` */
export function rejectCommand(program: Program): Command {
  const command = new Command('reject')
    .description('turn down a request to enrol, or remove an enrolled device')
    .argument('<id>', 'id of the request, or a device')
    .option('--reason <text>', 'told to the device and kept in the audit trail');
  return bindEnding(program, command);
}

/** `towline devices remove` */
export function removeCommand(program: Program): Command {
  const command = new Command('remove')
    .description('remove a device: its key dies and its connections close')
    .argument('<device>', 'a device, or the id of a request to enrol')
    .option('--reason <text>', 'told to the device and kept in the audit trail');
  return bindEnding(program, command);
}

/** Both words end whatever the text names, so that nobody has to know how far its enrolment went. */
function bindEnding(program: Program, command: Command): Command {
  return program.bind(command, async (context, { args: [word], options }) => {
    using relay = await openRelay(context);
    const reason = typeof options.reason === 'string' ? options.reason : undefined;
    const ending = { text: deviceOfWord(word!), reason, signal: context.host.signal };
    const ended = command.name() === 'remove' ? await removeOrReject(relay.api, ending) : await rejectOrRemove(relay.api, ending);
    if (context.output.json) context.output.document(ended);
    else context.output.line(ended.rejected === undefined ? `removed ${shown(ending.text)}` : `rejected ${shown(ended.rejected)}`);
    return undefined;
  });
}

interface Ending {
  readonly text: string;
  readonly reason: string | undefined;
  readonly signal: AbortSignal;
}
/** Id of the request that was rejected, or the text by which a device was removed. */
interface Ended {
  readonly rejected?: string;
  readonly removed?: string;
}

async function rejectOrRemove(api: ApiClient, ending: Ending): Promise<Ended> {
  const request = await findPending(api, { text: ending.text, orByDevice: true }, ending.signal);
  return request === null ? remove(api, ending) : reject(api, request, ending);
}

async function removeOrReject(api: ApiClient, ending: Ending): Promise<Ended> {
  try {
    return await remove(api, ending);
  } catch (error) {
    if (!isTowlineError(error) || error.code !== 'not_found') throw error;
    const request = await findPending(api, { text: ending.text, orByDevice: true }, ending.signal);
    if (request === null) throw error;
    return reject(api, request, ending);
  }
}

async function remove(api: ApiClient, { text, reason, signal }: Ending): Promise<Ended> {
  await api.request('DELETE', apiPath`/v1/devices/${text}`, { query: { reason }, signal });
  return { removed: text };
}

async function reject(api: ApiClient, request: RegistrationView, { reason, signal }: Ending): Promise<Ended> {
  await api.request('POST', apiPath`/v1/registrations/${request.id}/reject`, { body: { reason }, signal });
  return { rejected: request.id };
}

function wholeId(text: string): string {
  if (isId(text)) return text;
  throw new TowlineError('not_found', `No request to enrol has the id “${shown(text)}”.`, {
    hint: '`towline devices list --pending` shows the requests that wait.',
  });
}
