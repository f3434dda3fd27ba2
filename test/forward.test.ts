import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dial, drain, echoTcp, hashOf, roundTrip, serveTcp, startForward, writeBytes } from './support/forwarding.ts';
import { runProgram } from './support/process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const MIB = 1_048_576;

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  // A folder of the system, so that the paths of sockets stay short.
  device = await system.enrolDevice(relay);
  writeFileSync(join(device.dir, 'device.yaml'), `allow: ["localhost:*", "unix:${system.dir}/*"]\n`, { mode: 0o600 });
  await device[Symbol.asyncDispose]();
  device = system.startDevice(relay);
  await device.event('online');
});
afterAll(() => system[Symbol.asyncDispose]());

const forward = (...words: string[]) => startForward(system, relay, words);

describe('a forwarded TCP port', () => {
  it('leads to the device: an HTTP server answers by it, over IPv4 and IPv6 of this machine', async () => {
    const http = createHttpServer((request, response) => response.end(`you asked for ${request.url}`));
    await once(http.listen(0, '127.0.0.1'), 'listening');
    await using open = await forward(`0:${(http.address() as AddressInfo).port}`);
    for (const host of ['127.0.0.1', '[::1]'])
      expect(await (await fetch(`http://${host}:${open.ports[0]}/page`)).text()).toBe('you asked for /page');
    http.closeAllConnections();
    http.close();
  });

  it('is half-closed from here: the target sees the end, and its answer comes back', async () => {
    await using server = await serveTcp((socket) => {
      let bytes = 0;
      socket.on('data', (chunk) => (bytes += chunk.length)).on('end', () => socket.end(`${bytes} bytes`));
    });
    await using open = await forward(`0:${server.port}`);
    expect(await roundTrip(open.ports[0]!, 'x'.repeat(100_000))).toBe('100000 bytes');
  });

  it('is half-closed from there: after the end of what the target sends, it still takes what is sent to it', async () => {
    let got = '';
    await using server = await serveTcp((socket) => {
      socket.end('that is all');
      socket.on('data', (chunk) => (got += chunk.toString()));
    });
    await using open = await forward(`0:${server.port}`);
    const socket = await dial(open.ports[0]!);
    expect(await drain(socket)).toEqual({ bytes: Buffer.from('that is all'), end: 'end' });
    socket.end('thank you');
    await eventually(async () => got === 'thank you', 'the target has what was sent after its end');
    await eventually(async () => server.sockets.size === 0, 'the connection is over on the device');
  });

  it('passes a reset on as a reset, both ways, and never as a clean end', async () => {
    let code = '';
    await using server = await serveTcp((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code!));
      socket.on('data', (chunk) => chunk.toString() === 'reset me' && socket.resetAndDestroy());
    });
    await using open = await forward(`0:${server.port}`);
    const first = await dial(open.ports[0]!);
    const ended = drain(first);
    first.write('reset me');
    expect(await ended).toMatchObject({ end: 'ECONNRESET' });
    const second = await dial(open.ports[0]!);
    second.write('hello');
    await eventually(async () => server.sockets.size === 1, 'the target has the connection');
    second.resetAndDestroy();
    await eventually(async () => code === 'ECONNRESET', 'the target sees the reset');
    const { figures } = await open.finish();
    expect(figures[0]).toMatchObject({ connections: 2, failures: 1, bytes_to_device: 13, bytes_from_device: 0 });
  });

  it('carries 200 MB without a wrong byte, there and back at once', async () => {
    await using server = await echoTcp();
    await using open = await forward(`0:${server.port}`);
    const socket = await dial(open.ports[0]!);
    const back = hashOf(socket);
    const sent = await writeBytes(socket, 200 * MIB);
    socket.end();
    expect(await back).toBe(sent);
    const { figures } = await open.finish();
    expect(figures[0]).toMatchObject({ connections: 1, failures: 0, bytes_to_device: 200 * MIB, bytes_from_device: 200 * MIB });
  }, 240_000);

  it('has 50 connections at once, each with bytes of its own', async () => {
    await using server = await echoTcp();
    await using open = await forward(`0:${server.port}`);
    const texts = Array.from({ length: 50 }, (_, at) => `${at} `.repeat(20_000));
    expect(await Promise.all(texts.map((text) => roundTrip(open.ports[0]!, text)))).toEqual(texts);
    expect((await open.finish()).figures[0]).toMatchObject({ connections: 50, failures: 0 });
  });

  it('holds little for a reader that does not read, on every one of the three processes', async () => {
    await using server = await serveTcp(
      (socket) =>
        void writeBytes(socket, 256 * MIB).then(
          () => socket.end(),
          () => {},
        ),
    );
    await using open = await forward(`0:${server.port}`);
    const pids = { command: open.program.pid, relay: relay.program.pid, device: device.program.pid };
    const warm = await dial(open.ports[0]!);
    warm.once('data', () => warm.destroy());
    await once(warm, 'close');
    const before = Object.entries(pids).map(([name, pid]) => [name, residentMiB(pid)] as const);
    const socket = await dial(open.ports[0]!);
    let grown: (readonly [string, number])[] = [];
    for (let look = 0; look < 20; look += 1) {
      await new Promise((later) => setTimeout(later, 50));
      grown = before.map(([name, mebibytes]) => [name, residentMiB(pids[name as 'relay']) - mebibytes] as const);
    }
    for (const [name, mebibytes] of grown) expect(mebibytes, name).toBeLessThan(48);
    // And the bytes that waited are all there.
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(256 * MIB);
  }, 240_000);

  it('leads to both loopback addresses of the device by the name localhost', async () => {
    await using six = await echoTcp({ host: '::1' });
    await using open = await forward(`0:localhost:${six.port}`, `0:[::1]:${six.port}`);
    expect(await roundTrip(open.ports[0]!, 'by name')).toBe('by name');
    expect(await roundTrip(open.ports[1]!, 'by address')).toBe('by address');
  });

  it('is one of a range, each leading to its own', async () => {
    await using first = await serveTcp((socket) => socket.end('first'));
    await using second = await serveTcp((socket) => socket.end('second'), { port: first.port + 1 }).catch(() => serveTcp(() => {}));
    // Two ports in a row are not always free.
    if (second.port !== first.port + 1) return;
    const local = await freeRange();
    await using open = await forward(`${local}-${local + 1}:${first.port}-${second.port}`);
    expect(open.ports).toEqual([local, local + 1]);
    expect(await roundTrip(local, '')).toBe('first');
    expect(await roundTrip(local + 1, '')).toBe('second');
  });
});

describe('unix sockets', () => {
  it('lead to unix sockets of the device, from a port and from a socket here, which is this user’s alone', async () => {
    const [far, near] = [join(system.dir, 'far.sock'), join(system.dir, 'near.sock')];
    await using _server = await echoTcp({ path: far });
    await using open = await forward(`0:${far}`, `${near}:${far}`);
    expect(await roundTrip(open.ports[0]!, 'by a port')).toBe('by a port');
    const socket = connect({ path: near, allowHalfOpen: true });
    const all = drain(socket);
    socket.end('by a socket');
    expect((await all).bytes.toString()).toBe('by a socket');
    expect(statSync(near).mode & 0o777).toBe(0o600);
    expect(open.events('warning')).toEqual([]);
    await open.finish();
    expect(() => statSync(near)).toThrow('ENOENT');
  });

  it('lead from here to a port there; a socket left behind is replaced, and no other file is', async () => {
    await using server = await echoTcp();
    const near = join(system.dir, 'port.sock');
    const left = await forward(`${near}:${server.port}`);
    left.program.child.kill('SIGKILL');
    await left.program.finished;
    expect(statSync(near).isSocket()).toBe(true);
    await using open = await forward(`${near}:${server.port}`);
    const socket = connect({ path: near, allowHalfOpen: true });
    const all = drain(socket);
    socket.end('hello');
    expect((await all).bytes.toString()).toBe('hello');
    const taken = await system.towline(relay, ['pi', 'forward', `${near}:${server.port}`]);
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining('Another program uses') });
    await open.finish();
    const file = join(system.dir, 'file');
    writeFileSync(file, 'precious');
    expect((await system.towline(relay, ['pi', 'forward', `${file}:${server.port}`])).code).toBe(1);
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  it('come with a warning in a folder where others could put another in their place', async () => {
    const shared = join(system.dir, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    await using open = await forward(`${join(shared, 'a.sock')}:80`);
    expect(await open.event('warning')).toMatchObject({ message: expect.stringContaining(`others can write to the folder ${shared}`) });
  });

  it('carry HTTP, as the socket of a container engine does', async () => {
    const path = join(system.dir, 'engine.sock');
    const engine = createHttpServer((_request, response) => response.end('{"ApiVersion":"1.45"}'));
    await once(engine.listen(path), 'listening');
    const near = join(system.dir, 'engine-here.sock');
    await using _open = await forward(`${near}:${path}`);
    const { stdout } = await runProgram('curl', ['--silent', '--max-time', '10', '--unix-socket', near, 'http://localhost/version']);
    expect(JSON.parse(stdout)).toEqual({ ApiVersion: '1.45' });
    engine.closeAllConnections();
    engine.close();
  });
});

describe('local ports', () => {
  it('are taken from this machine alone, and a warning says so when they are not', async () => {
    await using server = await echoTcp();
    await using open = await forward(`0:${server.port}`, `0.0.0.0:0:${server.port}`);
    expect(open.events('listening')).toMatchObject([
      { places: [`127.0.0.1:${open.ports[0]}`, `[::1]:${open.ports[0]}`], target: `localhost:${server.port}`, protocol: 'tcp' },
      { places: [`0.0.0.0:${open.ports[1]}`] },
    ]);
    expect(open.events('warning')).toHaveLength(1);
    expect(open.events('warning')[0]!.message).toContain('from other machines');
    // Every address of 127.0.0.0/8 is one of this machine.
    await expect(dial(open.ports[0]!, '127.0.0.2')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await roundTrip(open.ports[1]!, 'wide', '127.0.0.2')).toBe('wide');
  });

  it('that another program has are a clear error, after which nothing is left listening', async () => {
    await using server = await echoTcp();
    const free = await freeRange();
    const { code, stderr } = await system.towline(relay, ['pi', 'forward', `${free}:${server.port}`, `${server.port}:${server.port}`]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`Another program uses port ${server.port}`) });
    await expect(dial(free)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('are told to people in words, with the figures at the end', async () => {
    await using server = await echoTcp();
    const program = system.startTowline(relay, ['pi', 'forward', `0:${server.port}`]);
    const [, port] = await program.saw(/^towline: 127\.0\.0\.1:(\d+) and \[::1\]:\1 leads? to localhost:\d+ on pi$/m, 'stderr');
    await program.saw(/ready/, 'stderr');
    expect(await roundTrip(Number(port), 'hello')).toBe('hello');
    program.child.kill('SIGINT');
    const { code, stdout, stderr } = await program.finished;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain(`to localhost:${server.port}: 1 connections, 0 failed, 5 bytes to the device, 5 from it`);
  });

  it.each([
    ['no target', []],
    ['a host without a local port', ['db.internal:5432']],
    ['octal', ['9000:0177.0.0.1:80']],
    ['too many ports', ['1-65535']],
    ['a time that is none', ['--udp-idle', 'soon', '53/udp']],
  ])('are not opened for a wrong use: %s', async (_what, words) => {
    expect((await system.towline(relay, ['pi', 'forward', ...words])).code).toBe(2);
  });
});

describe('the audit trail', () => {
  it('has each connection with its target and its bytes, as the device reports them', async () => {
    await using server = await echoTcp();
    await using open = await forward(`0:${server.port}`);
    await roundTrip(open.ports[0]!, 'twelve bytes');
    const closed = await eventually(async () => {
      const { stdout } = await system.towline(relay, ['--json', 'pi', 'audit', '--action', 'session.closed', '--limit', '10']);
      const { items } = JSON.parse(stdout) as { items: { detail: Record<string, unknown> }[] };
      return items.find(({ detail }) => detail.port === server.port);
    }, 'the connection is in the trail');
    expect(closed).toMatchObject({
      protocol: '/forward/1',
      outcome: 'ok',
      reason: 'ended',
      reported_by: 'device',
      bytes_to_device: 12,
      bytes_from_device: 12,
      detail: { forward: 'tcp', host: 'localhost', port: server.port },
    });
  });
});

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** The first of two ports that are free at this moment. */
async function freeRange(): Promise<number> {
  for (;;) {
    await using one = await serveTcp(() => {});
    await using two = await serveTcp(() => {}, { port: one.port + 1 }).catch(() => serveTcp(() => {}));
    if (two.port === one.port + 1) return one.port;
  }
}
