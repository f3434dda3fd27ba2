import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shownOverQuic, shownOverTls } from './support/certificate-shown.ts';
import { type CertificateFiles, makeAuthority, makeLeaf } from './support/openssl.ts';
import { startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Time for an edge to be started again and devices to be back, milliseconds. */
const BACK_MS = 15_000;

let system: TestSystem;
let dir: string;
let authority: CertificateFiles;
let relay: TestRelay;
let device: TestDevice;
const made: Record<'first' | 'second' | 'third', CertificateFiles> = {} as never;
beforeAll(async () => {
  system = createSystem();
  dir = join(system.dir, 'tls');
  mkdirSync(dir);
  authority = await makeAuthority(dir, 'own CA');
  for (const name of ['first', 'second', 'third'] as const) made[name] = await makeLeaf(dir, name, { by: authority });
  install(made.first);
  const config = join(dir, 'towline.yaml');
  writeFileSync(config, 'server: { tls: { cert_file: in-use.pem, key_file: in-use.key } }\ntransports: [tls, quic]\n');
  relay = await startRelayOn(join(system.dir, 'relay'), { config });
  device = await system.enrolDevice(relay);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

/** Puts a certificate in place as an ACME client does: the whole chain, by a rename. */
function install({ cert, key }: CertificateFiles): void {
  writeFileSync(join(dir, 'new.pem'), readFileSync(cert, 'utf8') + readFileSync(authority.cert, 'utf8'));
  copyFileSync(key, join(dir, 'new.key'));
  renameSync(join(dir, 'new.pem'), join(dir, 'in-use.pem'));
  renameSync(join(dir, 'new.key'), join(dir, 'in-use.key'));
}

const reload = () => relay.program.child.kill('SIGHUP');
const overQuic = async () => (await shownOverQuic(relay.port)).subject;
const overBoth = async () => [await overQuic(), (await shownOverTls(relay.port)).subject];
const transport = async () => {
  const { stdout } = await system.towline(relay, ['devices', 'show', 'pi', '--json']);
  return (JSON.parse(stdout) as DeviceView).link?.transport ?? null;
};
const edgePid = () => (JSON.parse(readFileSync(join(relay.dir, 'quic-edge.json'), 'utf8')) as { pid: number }).pid;
const echo = (text: string) => system.towline(relay, ['--transport', 'quic', 'pi', 'exec', '--', 'echo', text]);

describe('certificates of the config', () => {
  it('are shown over TLS and QUIC alike, and devices take QUIC', async () => {
    expect(await overBoth()).toEqual(['CN=first', 'CN=first']);
    expect(await transport()).toBe('quic');
  });

  it('are read anew on SIGHUP: links over QUIC go on, new ones are shown the new certificate', async () => {
    const session = system.startTowline(relay, ['--transport', 'quic', 'pi', 'exec', '-i', '--', 'sh', '-c', 'echo begun; cat'], {
      stdin: 'pipe',
    });
    await session.saw(/begun/);
    const pid = edgePid();
    install(made.second);
    expect(await overBoth()).toEqual(['CN=first', 'CN=first']);
    reload();
    await relay.program.saw(/the certificates were reloaded/, 'stderr');
    await eventually(async () => (await overQuic()) === 'CN=second', 'QUIC shows the new certificate');
    expect(await overBoth()).toEqual(['CN=second', 'CN=second']);
    session.child.stdin!.end('still here\n');
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'begun\nstill here\n' });
    expect(await echo('new link')).toMatchObject({ code: 0, stdout: 'new link\n' });
    expect(device.program.stdout).not.toContain('"event":"offline"');
    expect({ transport: await transport(), pid: edgePid() }).toEqual({ transport: 'quic', pid });
  });

  it('that are broken are not taken over QUIC either', async () => {
    writeFileSync(join(dir, 'in-use.pem'), 'not a certificate');
    reload();
    await relay.program.saw(/were not reloaded/, 'stderr');
    expect(await overBoth()).toEqual(['CN=second', 'CN=second']);
    expect(await echo('as before')).toMatchObject({ code: 0, stdout: 'as before\n' });
    expect(device.program.stdout).not.toContain('"event":"offline"');
  });

  it('that came by a reload are those of an edge that is started again', async () => {
    install(made.third);
    reload();
    await eventually(async () => (await overQuic()) === 'CN=third', 'QUIC shows the new certificate');
    const pid = edgePid();
    process.kill(pid, 'SIGKILL');
    const renewed = async () => edgePid() !== pid && (await overQuic().catch(() => null)) === 'CN=third';
    await eventually(async () => renewed().catch(() => false), 'the next edge shows it', BACK_MS);
    await eventually(async () => (await transport()) === 'quic', 'the device is back over QUIC', 60_000);
    expect(await echo('back')).toMatchObject({ code: 0, stdout: 'back\n' });
  }, 90_000);
});
