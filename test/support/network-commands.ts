import { execFileSync } from 'node:child_process';

/** A program and its arguments, to run in a namespace. */
export function inside(namespace: string, file: string, args: readonly string[] = []): readonly [string, readonly string[]] {
  return ['ip', ['netns', 'exec', namespace, file, ...args]];
}

/** Runs `ip` and returns what it says. Throws what it complains of. */
export function ip(args: readonly string[]): string {
  return run('ip', args);
}

/** Runs many `ip` commands in a namespace at once, so that little time passes between them. */
export function ipInside(namespace: string, commands: readonly string[]): void {
  run('ip', ['-n', namespace, '-batch', '-'], `${commands.join('\n')}\n`);
}

/** Replaces a table of nftables in one transaction: no packet meets half of it. */
export function loadTable(namespace: string, table: string, chains: string): void {
  run(...inside(namespace, 'nft', ['-f', '-']), `add table ${table}\ndelete table ${table}\ntable ${table} {\n${chains}\n}\n`);
}

/** Removes a table of nftables, if it is there. */
export function dropTable(namespace: string, table: string): void {
  run(...inside(namespace, 'nft', ['-f', '-']), `add table ${table}\ndelete table ${table}\n`);
}

/** Runs a short program to its end. */
export function run(file: string, args: readonly string[], input = ''): string {
  return execFileSync(file, [...args], { input, encoding: 'utf8', stdio: 'pipe', timeout: 10_000 });
}
