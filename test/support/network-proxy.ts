import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inside } from './network-commands.ts';
import { runProgram, startProgram } from './process.ts';
import { eventually } from './system.ts';

/** An HTTP proxy in a namespace. */
export interface NetworkProxy extends AsyncDisposable {
  readonly url: string;
  /** HOST:PORT that CONNECT asked for so far, in order. */
  targets(): string[];
}

/** Starts tinyproxy in a namespace, on one address of it; its files go into a folder below `dir`. */
export async function startNetworkProxy(
  namespace: string,
  { dir, address, port }: { readonly dir: string; readonly address: string; readonly port: number },
): Promise<NetworkProxy> {
  const config = join(mkdtempSync(join(dir, 'tinyproxy-')), 'tinyproxy.conf');
  writeFileSync(config, [`Port ${port}`, `Listen ${address}`, 'Timeout 600', 'MaxClients 50', 'LogLevel Connect', ''].join('\n'));
  const program = startProgram(...inside(namespace, 'tinyproxy', ['-d', '-c', config]));
  const reaches = async () => (await runProgram(...inside(namespace, 'bash', ['-c', `</dev/tcp/${address}/${port}`]))).code === 0;
  try {
    await eventually(reaches, 'the proxy listens');
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return {
    url: `http://${address}:${port}`,
    targets: () => [...program.stdout.matchAll(/: CONNECT (\S+) HTTP/g)].map(([, target]) => target!),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
