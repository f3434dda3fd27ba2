import { type Command, Option } from 'commander';
import { GLOBAL_OPTION_LINES } from './global-option-table.ts';

/** Options that every command takes, before its name or after. */
export interface GlobalOptions {
  readonly relay?: string;
  readonly profile?: string;
  readonly json: boolean;
  readonly color: boolean;
  readonly verbose: boolean;
}

/** Declares the global options on a command and all below it. */
export function addGlobalOptions(command: Command): void {
  for (const [flags, description] of GLOBAL_OPTION_LINES) command.addOption(new Option(flags, description).helpGroup('Global options:'));
  for (const below of command.commands) addGlobalOptions(below);
}

/** The global options in force for a command: what stands nearest to it wins. */
export function readGlobalOptions(command: Command): GlobalOptions {
  const given: Record<string, unknown> = {};
  for (let each: Command | null = command; each !== null; each = each.parent) {
    for (const name of ['relay', 'profile', 'json', 'color', 'verbose']) {
      if (!(name in given) && each.getOptionValueSource(name) === 'cli') given[name] = each.getOptionValue(name);
    }
  }
  return {
    ...(typeof given.relay === 'string' ? { relay: given.relay } : {}),
    ...(typeof given.profile === 'string' ? { profile: given.profile } : {}),
    json: given.json === true,
    color: given.color !== false,
    verbose: given.verbose === true,
  };
}
