import { copyCommand } from '@towline/stream-files/cli';
import type { Command } from 'commander';
import { pathCommand } from '../device/path-command.ts';
import type { Program } from '../invocation/program.ts';

/** `towline cp` */
export function cpCommand(program: Program): Command {
  return pathCommand(program, copyCommand);
}
