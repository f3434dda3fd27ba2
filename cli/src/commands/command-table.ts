import type { Command } from 'commander';
import type { Program } from '../invocation/program.ts';

/** A first word that is a command. */
export interface CommandEntry {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  /** Defines the command; its code is loaded only then. */
  load(program: Program): Promise<Command>;
}

/** The commands of the program, in the order in which the help lists them. */
export const COMMANDS: readonly CommandEntry[] = Object.freeze([
  {
    name: 'login',
    usage: 'login',
    summary: 'log in to a relay and remember it',
    load: async (program: Program) => (await import('./login.ts')).loginCommand(program),
  },
  {
    name: 'logout',
    usage: 'logout',
    summary: 'forget the stored login',
    load: async (program: Program) => (await import('./logout.ts')).logoutCommand(program),
  },
  {
    name: 'whoami',
    usage: 'whoami',
    summary: 'show who the relay takes you for',
    load: async (program: Program) => (await import('./whoami.ts')).whoamiCommand(program),
  },
  {
    name: 'devices',
    usage: 'devices list|show|approve|reject|remove|rename|rotate|transfer|share|unshare|access',
    summary: 'list devices, decide who may enrol and who has access, rename and remove',
    load: async (program: Program) => (await import('./devices.ts')).devicesCommand(program),
  },
  {
    name: 'users',
    usage: 'users list|disable|enable',
    summary: 'list those who have logged in, disable and enable them',
    load: async (program: Program) => (await import('./users.ts')).usersCommand(program),
  },
  {
    name: 'orgs',
    usage: 'orgs create|list|show|delete|members list|members add|members remove',
    summary: 'organisations and who is in them',
    load: async (program: Program) => (await import('./orgs.ts')).orgsCommand(program),
  },
  {
    name: 'keys',
    usage: 'keys create|list|revoke',
    summary: 'API keys for programs, and keys that enrol devices',
    load: async (program: Program) => (await import('./keys.ts')).keysCommand(program),
  },
  {
    name: 'secrets',
    usage: 'secrets set|list|remove',
    summary: 'secrets for the environment of what runs on devices',
    load: async (program: Program) => (await import('./secrets.ts')).secretsCommand(program),
  },
  {
    name: 'cp',
    usage: 'cp SOURCE... TARGET',
    summary: 'copy files and folders to a device or from it: one side is DEVICE:PATH',
    load: async (program: Program) => (await import('./cp.ts')).cpCommand(program),
  },
  {
    name: 'sync',
    usage: 'sync SOURCE TARGET',
    summary: 'make a folder like another, on a device or from it: one side is DEVICE:PATH',
    load: async (program: Program) => (await import('./sync.ts')).syncTreeCommand(program),
  },
  {
    name: 'audit',
    usage: 'audit',
    summary: 'show who did what, newest first',
    load: async (program: Program) => (await import('./audit.ts')).auditCommand(program),
  },
  {
    name: 'ssh',
    usage: 'ssh enable|disable|proxy',
    summary: 'have OpenSSH reach devices as DEVICE.towline',
    load: async (program: Program) => (await import('./ssh.ts')).sshCommand(program),
  },
  {
    name: 'runtime',
    usage: 'runtime …',
    summary: 'run this machine as a device',
    load: async (program: Program) => (await import('./runtime.ts')).runtimeCommand(program),
  },
  {
    name: 'doctor',
    usage: 'doctor',
    summary: 'find out what is broken on the way to the relay',
    load: async (program: Program) => (await import('./doctor.ts')).doctorCommand(program),
  },
]);

/** Everything that can be done with a device, in the order in which the help lists it. */
export const DEVICE_VERBS: readonly { readonly verb: string; readonly summary: string }[] = Object.freeze([
  { verb: 'shell', summary: 'open a shell on the device' },
  { verb: 'exec', summary: 'run a command on the device' },
  { verb: 'ls', summary: 'list a folder of the device' },
  { verb: 'forward', summary: 'have local ports lead to ports of the device' },
  { verb: 'socks', summary: 'be a SOCKS5 proxy that goes out from the device' },
  { verb: 'status', summary: 'show whether the device is online' },
  { verb: 'sessions', summary: 'list the open sessions, or end one' },
  { verb: 'audit', summary: 'show what was done with the device' },
]);
