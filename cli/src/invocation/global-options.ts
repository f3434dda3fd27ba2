import { type Command, Option } from 'commander';
import { parseTransportChoice, type TransportChoice } from '../relay/transports.ts';
import { GLOBAL_OPTION_LINES } from './global-option-table.ts';

/** Options that every command takes, before its name or after. */
export interface GlobalOptions {
  readonly relay?: string;
  readonly profile?: string;
  /** How links to the relay are opened. */
  readonly transport: TransportChoice;
  readonly json: boolean;
  readonly color: boolean;
  readonly verbose: boolean;
}

/** Declares the global options on a command and all below it. One that a command has for itself stays its own. */
export function addGlobalOptions(command: Command): void {
  for (const [flags, description] of GLOBAL_OPTION_LINES) {
    const option = new Option(flags, description).helpGroup('Global options:');
    if (!command.options.some(({ long }) => long === option.long)) command.addOption(option);
  }
  for (const below of command.commands) addGlobalOptions(below);
}

/** The global options in force for a command: what stands nearest to it wins. @throws TowlineError `usage`. */
export function readGlobalOptions(command: Command): GlobalOptions {
  const given: Record<string, unknown> = {};
  for (let each: Command | null = command; each !== null; each = each.parent) {
    for (const name of ['relay', 'profile', 'transport', 'json', 'color', 'verbose']) {
      if (!(name in given) && each.getOptionValueSource(name) === 'cli') given[name] = each.getOptionValue(name);
    }
  }
  return {
    ...(typeof given.relay === 'string' ? { relay: given.relay } : {}),
    ...(typeof given.profile === 'string' ? { profile: given.profile } : {}),
    transport: typeof given.transport === 'string' ? parseTransportChoice(given.transport) : 'tls',
    json: given.json === true,
    color: given.color !== false,
    verbose: given.verbose === true,
  };
}
