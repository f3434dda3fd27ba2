import { Command } from 'commander';
import { addAuditOptions } from '../audit/audit-options.ts';
import { printTrail } from '../audit/print-trail.ts';
import { deviceOfWord } from '../device/device-word.ts';
import type { Program } from '../invocation/program.ts';

/** `towline audit` */
export function auditCommand(program: Program): Command {
  const command = new Command('audit')
    .description('show who did what, newest first')
    .option('--device <device>', 'only records of this device: name or id; of a removed one its whole id');
  return program.bind(addAuditOptions(command), async (context, { options }) => {
    await printTrail(context, options, typeof options.device === 'string' ? deviceOfWord(options.device) : undefined);
    return undefined;
  });
}
