/** Words that are verbs of the command line: a device of such a name could not be reached by it. */
const VERBS: ReadonlySet<string> = new Set([
  ...['audit', 'completion', 'cp', 'device', 'devices', 'doctor', 'exec', 'forward', 'help', 'keys', 'login', 'logout', 'ls', 'orgs'],
  ...['runtime', 'secrets', 'sessions', 'shell', 'socks', 'ssh', 'status', 'sync', 'users', 'version', 'whoami'],
]);
// Letters and digits of any script, inner spaces, dots, dashes and underscores: no path, no option, no colon of `D:PATH`.
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}._ -]{0,61}[\p{L}\p{M}\p{N}])?$/u;

/** What is wrong with a device name, in words; null when it may be used. */
export function deviceNameFault(name: string): string | null {
  if (!NAME.test(name)) return 'a device name has 1 to 63 letters, digits, dots, dashes, underscores or inner spaces';
  if (name.normalize('NFC') !== name) return 'a device name must be in Unicode normal form C';
  if (VERBS.has(name.toLowerCase())) return `“${name}” is a command of towline, so a device of that name could not be reached`;
  if (/^[0-9a-f]{32}$/.test(name)) return 'a device name must not look like the id of a device';
  return null;
}
