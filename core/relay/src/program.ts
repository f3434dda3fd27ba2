import { Command, InvalidArgumentError, Option } from 'commander';
import { checkCommand } from './commands/check.ts';
import { rotateGrantsCommand } from './commands/grants.ts';
import { hashPasswordCommand } from './commands/hash-password.ts';
import { createKeyCommand, listKeysCommand, revokeKeyCommand } from './commands/keys.ts';
import { rotateSecretsCommand } from './commands/secrets.ts';
import { startCommand } from './commands/start.ts';
import { backupStoreCommand, exportStoreCommand, importStoreCommand, migrateStoreCommand } from './commands/store.ts';
import { disableUserCommand, enableUserCommand, listUsersCommand } from './commands/users.ts';
import { VERSION } from './version.ts';

/** Where a relay's configuration and data are: options of every command. */
export interface LocationOptions {
  readonly config?: string;
  readonly data?: string;
}

/** The towline-relay command line. */
export function createProgram(): Command {
  const program = new Command('towline-relay')
    .description('Runs a Towline relay, and works on its store.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(see towline-relay --help)');
  addStart(program);
  located(program.command('check').description('load config and plugins, print what would run; exit 0 or 2')).action(checkCommand);
  addKeys(program);
  program.command('hash-password').description('read a password, print its hash for the users of auth basic').action(hashPasswordCommand);
  addUsers(program);
  addStore(program);
  const grants = program.command('grants').description('the keys that grants are signed with');
  located(grants.command('rotate').description('make a new key; devices follow at once, or at their next link')).action(
    rotateGrantsCommand,
  );
  const secrets = program.command('secrets').description('what the store holds encrypted');
  located(secrets.command('rotate').description('encrypt everything with the first key of the ring')).action(rotateSecretsCommand);
  return program;
}

function addStart(program: Command): void {
  located(program.command('start').description('run the relay in the foreground'))
    .option('--host <host>', 'address to listen on')
    .option('--port <port>', 'port, 0 for a free one', parsePort)
    .action(startCommand);
}

function addKeys(program: Command): void {
  const keys = program.command('keys').description('API keys, also beside a running relay');
  located(keys.command('create').description('create a key and print it once'))
    .option('--admin', 'a key of a platform admin')
    .option('--email <address>', 'a key of the person with this address')
    .option('--enrol', 'a key that enrols devices (with --org or --email)')
    .option('--org <id>', 'organisation that enrolled devices belong to')
    .option('--count <n>', 'how many devices it may enrol', parseCount)
    .option('--scope <scope>', 'a further scope of a person, as org:acme (repeatable)', collect, [])
    .addOption(new Option('--role <role>', 'role in the further scopes').choices(['viewer', 'operator', 'admin']).default('operator'))
    .option('--stream <name>', 'limit the key to this kind of stream (repeatable)', collect, [])
    .option('--expires <duration>', 'as 90d or 12h')
    .option('--name <name>', 'what it is for')
    .option('--json', 'print { "id", "key" }')
    .action(createKeyCommand);
  located(keys.command('list').description('list keys, never their secrets'))
    .option('--revoked', 'revoked ones too')
    .option('--json', 'print JSON')
    .action(listKeysCommand);
  located(keys.command('revoke <id>').description('revoke a key; what lives by it ends within a second'))
    .option('--reason <text>', 'told to the holder')
    .action(revokeKeyCommand);
}

function addUsers(program: Command): void {
  const users = program.command('users').description('whoever has logged in, also beside a running relay');
  located(users.command('list').description('list users with their ids')).option('--json', 'print JSON').action(listUsersCommand);
  located(users.command('disable <id>').description('disable a user; what they have open ends within a second'))
    .option('--reason <text>', 'told to the user')
    .action(disableUserCommand);
  located(users.command('enable <id>').description('let a user in again')).action(enableUserCommand);
}

function addStore(program: Command): void {
  const store = program.command('store').description('everything that a relay keeps');
  located(store.command('export <file>').description('write all of it to a file, or to - for stdout; also beside a running relay'))
    .option('--force', 'replace a file that is there')
    .action(exportStoreCommand);
  located(store.command('import <file>').description('fill an empty store with an export, from a file or - for stdin')).action(
    importStoreCommand,
  );
  located(store.command('backup <file>').description('copy the database to a new file; also beside a running relay')).action(
    backupStoreCommand,
  );
  located(store.command('migrate').description('bring the store up to date with this version, and print from and to')).action(
    migrateStoreCommand,
  );
}

function located(command: Command): Command {
  return command.option('--config <file>', 'config file').option('--data <dir>', 'data folder (default ./towline-data)');
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('expected a number from 0 to 65535.');
  return port;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('expected a number from 1 to 9999999.');
  return Number(text);
}
