import type { DeviceView } from '@towline/contract';
import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { apiPath } from '../relay/paths.ts';
import { DEVICE } from '../relay/views.ts';
import { printDevice } from './device-fields.ts';

/** Exit code when a device is offline, the same with which anything else on it would fail. */
const OFFLINE = 5;

/** `towline DEVICE status` */
export function statusCommand(program: Program, device: string): Command {
  const command = new Command('status').description('show whether the device is online; exit code 5 when it is not');
  return program.bind(command, async (context) => {
    using relay = await openRelay(context);
    const { host, output } = context;
    const view = checkAnswer<DeviceView>(await relay.api.request('GET', apiPath`/v1/devices/${device}`, { signal: host.signal }), DEVICE);
    if (output.json) output.document(view);
    else printDevice(output, view, host.now());
    return view.online ? 0 : OFFLINE;
  });
}
