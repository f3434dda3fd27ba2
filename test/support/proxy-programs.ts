import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { CertificateFiles } from './openssl.ts';
import { type Program, startProgram } from './process.ts';
import { eventually } from './system.ts';

/** Whether a program is installed. */
export function isInstalled(program: 'tinyproxy' | 'nginx'): boolean {
  const { error } = spawnSync(program, ['-v'], { stdio: 'ignore' });
  return error === undefined;
}

/** A port of 127.0.0.1 that was free a moment ago: these programs cannot choose one by themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until something listens on a port of 127.0.0.1, or the program that should has ended. */
async function whenListening(program: Program, port: number): Promise<void> {
  await eventually(async () => {
    if (program.child.exitCode !== null) throw new Error(`it ended: ${program.stdout}${program.stderr}`);
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    return open;
  }, `something listens on port ${port}`);
}

/** How tinyproxy is started. */
export interface TinyproxyOptions {
  readonly port?: number;
  /** Asked of whoever connects. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Loopback address it connects from, so that a relay sees who went through it. */
  readonly from?: string;
  /** The only port that CONNECT may name; any unless told. */
  readonly connectPort?: number;
}

/** A running tinyproxy. */
export interface Tinyproxy extends AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  /** HOST:PORT that CONNECT asked for so far, in order. */
  targets(): string[];
}

/** Starts tinyproxy on 127.0.0.1; its files go into a folder below `dir`. */
export async function startTinyproxy(dir: string, options: TinyproxyOptions = {}): Promise<Tinyproxy> {
  const { port = await freePort(), login, from, connectPort } = options;
  const config = join(mkdtempSync(join(dir, 'tinyproxy-')), 'tinyproxy.conf');
  const lines = [
    `Port ${port}`,
    'Listen 127.0.0.1',
    'Timeout 600',
    'MaxClients 50',
    'LogLevel Connect',
    ...(login === undefined ? [] : [`BasicAuth ${login.user} ${login.password}`]),
    ...(from === undefined ? [] : [`Bind ${from}`]),
    ...(connectPort === undefined ? [] : [`ConnectPort ${connectPort}`]),
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const program = startProgram('tinyproxy', ['-d', '-c', config]);
  await whenListening(program, port);
  return {
    program,
    port,
    targets: () => [...program.stdout.matchAll(/: CONNECT (\S+) HTTP/g)].map(([, target]) => target!),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** What nginx stands in front of. */
export interface NginxOptions {
  /** Port of 127.0.0.1 that speaks HTTPS. */
  readonly upstreamPort: number;
  readonly certificate: CertificateFiles;
  /** Loopback address from which it connects to the relay. */
  readonly from: string;
}

/** A running nginx that ends TLS and passes WebSockets on, other upgrades not. */
export interface Nginx extends AsyncDisposable {
  readonly program: Program;
  /** Answers other upgrades with a page of its own. */
  readonly refusingPort: number;
  /** Passes their requests on without the headers that ask for it. */
  readonly strippingPort: number;
}

/** Starts nginx on 127.0.0.1; its files go into a folder below `dir`. */
export async function startNginx(dir: string, options: NginxOptions): Promise<Nginx> {
  const folder = mkdtempSync(join(dir, 'nginx-'));
  mkdirSync(join(folder, 'temp'));
  const [refusingPort, strippingPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'nginx.conf'), nginxConfig(folder, { ...options, refusingPort, strippingPort }));
  const program = startProgram('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr']);
  await whenListening(program, strippingPort);
  return { program, refusingPort, strippingPort, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

function nginxConfig(
  folder: string,
  { upstreamPort, certificate, from, refusingPort, strippingPort }: NginxOptions & Pick<Nginx, 'refusingPort' | 'strippingPort'>,
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/temp;`);
  const server = (port: number, more: string) => `
    server {
      listen 127.0.0.1:${port} ssl;
      location / {
        ${more}
        proxy_pass https://127.0.0.1:${upstreamPort};
        proxy_bind ${from};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header Upgrade $upgrade_passed_on;
        proxy_set_header Connection $connection_passed_on;
      }
    }`;
  return `
  daemon off;
  master_process off;
  pid nginx.pid;
  events { worker_connections 128; }
  http {
    access_log off;
    ${temporary.join('\n    ')}
    ssl_certificate ${certificate.cert};
    ssl_certificate_key ${certificate.key};
    map $http_upgrade $upgrade_passed_on { default ""; websocket websocket; }
    map $http_upgrade $connection_passed_on { default ""; websocket upgrade; }
    map $http_upgrade $refused { default 1; "" 0; websocket 0; }
    ${server(refusingPort, 'if ($refused) { return 403; }')}
    ${server(strippingPort, '')}
  }
`;
}
