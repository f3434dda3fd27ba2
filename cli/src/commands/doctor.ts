import { startDeadline } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { checksOf } from '../doctor/check-table.ts';
import { printFinding } from '../doctor/print-findings.ts';
import { type NamedFinding, runChecks } from '../doctor/run-checks.ts';
import { createSubject } from '../doctor/subject.ts';
import type { Program } from '../invocation/program.ts';

/** Time for all checks together, milliseconds: whoever calls for help does not want to wait. */
const EXAMINATION_MS = 25_000;

/** `towline doctor` */
export function doctorCommand(program: Program): Command {
  const command = new Command('doctor').description('find out what is broken: on this machine, on the way to the relay, or with the login');
  return program.bind(command, async (context) => {
    const findings = await examine(context);
    if (context.output.json) context.output.document({ items: findings, next: null });
    const broken = findings.find(({ status }) => status === 'failed');
    if (broken === undefined) return 0;
    context.output.note(`what is broken: ${broken.check}`);
    return 1;
  });
}

/** Prints what is found as it is found, unless JSON is wanted. */
async function examine(context: Context): Promise<readonly NamedFinding[]> {
  const { host, output } = context;
  const expired = () =>
    new TowlineError('timeout', `The checks took longer than ${EXAMINATION_MS / 1_000} s together.`, { hint: 'Try again.' });
  using deadline = startDeadline(EXAMINATION_MS, expired, host.signal);
  const findings: NamedFinding[] = [];
  for await (const finding of runChecks(checksOf(createSubject(context)), deadline.signal)) {
    // Interrupted: what the remaining checks say is not true of anything.
    host.signal.throwIfAborted();
    findings.push(finding);
    if (!output.json) printFinding(output, finding);
  }
  return findings;
}
