import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { ROOT } from '../../../test/support/process.ts';

/** How the side transport behaves, by the options of its config entry. */
export interface SideOptions {
  /** What it does wrong. */
  readonly fails?: 'listen' | 'listener' | 'renew' | 'close' | 'hang';
  readonly status?: 'up' | 'down' | 'unavailable';
  readonly detail?: string;
}

/**
 * Source of a transport that brings a listener and nothing else, as a third party would write it: a TCP port whose diallers
 * say in their first line which address they stand for, as an edge process in front of the relay does. What follows is theirs.
 */
const SOURCE = `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { definePlugin } from '@towline/contract';
import { acceptUpgrade } from '@towline/link';
import { z } from 'zod';

export const plugin = definePlugin({
  kind: 'transport', name: 'side',
  options: z.strictObject({ report: z.string(), fails: z.string().optional(), status: z.string().default('up'), detail: z.string().optional() }),
  create: (options, host) => ({ listen: (door) => listen(door, options), [Symbol.asyncDispose]: async () => tell(options, 'disposed') }),
});

const tell = ({ report }, text) => appendFileSync(report, text + '\\n');

async function listen(door, options) {
  tell(options, 'listen ' + JSON.stringify({ host: door.host, port: door.port, tls: door.certificate !== null }));
  if (options.fails === 'listen') throw new Error('the side port is taken');
  const figures = { accepted_total: 0, open: 0, 'no metric!': 1, up: 7, endless: Infinity };
  const upgrade = { transport: 'side', token: 'side/1', complete: acceptUpgrade };
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (read) => {
      const line = read.indexOf(10);
      figures.accepted_total += 1;
      figures.open += 1;
      socket.once('close', () => { figures.open -= 1; });
      socket.pause();
      socket.unshift(read.subarray(line + 1));
      const [address, proxy] = read.subarray(0, line).toString().split(' ');
      door.accept(socket, { address, ...(proxy ? { proxy } : {}) }, upgrade);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  tell(options, 'port ' + server.address().port);
  return {
    get state() {
      return { status: options.status, detail: options.detail, figures };
    },
    renewCertificate({ certPem }) {
      tell(options, 'renewed ' + certPem.length);
      if (options.fails === 'renew') throw new Error('it was not taken');
    },
    ...(options.fails === 'listener' ? { renewCertificate: undefined } : {}),
    async [Symbol.asyncDispose]() {
      tell(options, 'closed with ' + figures.open);
      server.close();
      if (options.fails === 'close') throw new Error('it broke while it closed');
      if (options.fails === 'hang') await new Promise(() => setInterval(() => {}, 1000));
    },
  };
}
`;

/** A folder with a config that names the side transport. */
export interface SideSite {
  readonly config: string;
  /** What the plugin told, line by line. */
  readonly told: () => string[];
  /** Port of its listener. */
  readonly port: () => number;
  /** Connects as whoever stands for an address; \`text\` follows on it. */
  dial(address: string, text?: string): Promise<Socket>;
}

/** Writes plugin and config into a folder; \`lines\` are the rest of the config. */
export function createSideSite(dir: string, options: SideOptions = {}, lines: readonly string[] = []): SideSite {
  const folder = join(dir, 'side');
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(dir, 'node_modules'));
  for (const name of ['@towline', 'zod']) symlinkSync(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name));
  const manifest = { contract: 1, plugins: [{ kind: 'transport', name: 'side', export: '.' }] };
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: '@acme/towline-side', version: '1.0.0', type: 'module', exports: './index.js', towline: manifest }),
  );
  writeFileSync(join(folder, 'index.js'), SOURCE);
  const report = join(dir, 'report');
  const config = join(dir, 'towline.yaml');
  const entry = JSON.stringify({ use: 'side', report, ...options });
  writeFileSync(config, ['plugins: [./side]', `transports: [tls, ${entry}]`, ...lines, ''].join('\n'));
  const told = () => (existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : []);
  const port = () =>
    Number(
      told()
        .findLast((line) => line.startsWith('port '))
        ?.slice(5),
    );
  return { config, told, port, dial: (address, text = '') => dial(port(), `${address}\n${text}`) };
}

function dial(port: number, text: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      socket.write(text);
      resolve(socket);
    });
  });
}
