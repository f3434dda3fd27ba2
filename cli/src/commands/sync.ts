import { syncCommand } from '@towline/stream-files/cli';
import type { Command } from 'commander';
import { pathCommand } from '../device/path-command.ts';
import type { Program } from '../invocation/program.ts';

/** `towline sync` */
export function syncTreeCommand(program: Program): Command {
  return pathCommand(program, syncCommand);
}
