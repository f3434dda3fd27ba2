import { Command } from 'commander';
import { addAuditOptions } from '../audit/audit-options.ts';
import { printTrail } from '../audit/print-trail.ts';
import type { Program } from '../invocation/program.ts';

/** `towline DEVICE audit` */
export function deviceAuditCommand(program: Program, device: string): Command {
  const command = addAuditOptions(new Command('audit').description('show what was done with the device, newest first'));
  return program.bind(command, async (context, { options }) => {
    await printTrail(context, options, device);
    return undefined;
  });
}
