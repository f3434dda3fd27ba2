import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CertificateFiles, makeAuthority, makeLeaf } from './support/openssl.ts';
import { runRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let dir: string;
let authority: CertificateFiles;
let relay: TestRelay;
let device: TestDevice;
const made: Record<'first' | 'second' | 'expired', CertificateFiles> = {} as never;
beforeAll(async () => {
  system = createSystem();
  dir = join(system.dir, 'tls');
  mkdirSync(dir);
  authority = await makeAuthority(dir, 'own CA');
  made.first = await makeLeaf(dir, 'first', { by: authority });
  made.second = await makeLeaf(dir, 'second', { by: authority });
  made.expired = await makeLeaf(dir, 'expired', { by: authority, days: -1 });
  install(made.first);
  writeFileSync(join(dir, 'towline.yaml'), 'server: { tls: { cert_file: in-use.pem, key_file: in-use.key } }\n');
  relay = await startRelayOn(join(system.dir, 'relay'), { config: join(dir, 'towline.yaml') });
  device = await system.enrolDevice(relay);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

/** Puts a certificate in place as an ACME client does: the whole chain, by a rename. */
function install({ cert, key }: CertificateFiles): void {
  writeFileSync(join(dir, 'new.pem'), readFileSync(cert, 'utf8') + readFileSync(authority.cert, 'utf8'));
  copyFileSync(key, join(dir, 'new.key'));
  renameSync(join(dir, 'new.pem'), join(dir, 'in-use.pem'));
  renameSync(join(dir, 'new.key'), join(dir, 'in-use.key'));
}

/** Name of the certificate that a new connection is shown. */
async function shownLeaf(): Promise<string> {
  const socket = connect({ port: relay.port, host: '127.0.0.1', ca: readFileSync(authority.cert) });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const certificate: PeerCertificate = socket.getPeerCertificate();
  socket.destroy();
  return String(certificate.subject.CN);
}

describe('certificates of the config', () => {
  it('are those that the relay shows; the fingerprint is that of the CA in the chain', async () => {
    expect(await shownLeaf()).toBe('first');
    expect(relay.fingerprint).toMatch(/^sha256:/);
    expect((await system.towline(relay, ['whoami'])).code).toBe(0);
    const byFile = { TOWLINE_TLS_FINGERPRINT: undefined as never, TOWLINE_CA_FILE: authority.cert };
    expect((await system.towline(relay, ['whoami'], { env: byFile })).code).toBe(0);
  });

  it('are read anew on SIGHUP: connections stay, new ones see the new certificate', async () => {
    const session = system.startTowline(relay, ['pi', 'exec', '-i', '--', 'sh', '-c', 'echo begun; cat'], { stdin: 'pipe' });
    await session.saw(/begun/);
    install(made.second);
    expect(await shownLeaf()).toBe('first');
    relay.program.child.kill('SIGHUP');
    await relay.program.saw(/the certificates were reloaded/, 'stderr');
    expect(await shownLeaf()).toBe('second');
    session.child.stdin!.end('still here\n');
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'begun\nstill here\n' });
    expect(device.program.stdout).not.toContain('"event":"offline"');
    expect((await system.towline(relay, ['pi', 'exec', '--', 'echo', 'new link'])).stdout).toBe('new link\n');
  });

  it('that are broken at a reload are named in the log, and the old ones stay', async () => {
    const faults: [string, () => void][] = [
      ['holds no certificate|no certificate|PEM', () => writeFileSync(join(dir, 'in-use.pem'), 'not a certificate')],
      ['is not the key of the first certificate', () => install({ cert: made.second.cert, key: made.first.key })],
      ['has expired', () => install(made.expired)],
    ];
    for (const [fault, breakFiles] of faults) {
      const before = relay.program.stderr.length;
      breakFiles();
      relay.program.child.kill('SIGHUP');
      const told = await eventually(async () => {
        const said = relay.program.stderr.slice(before);
        return /were not reloaded.*\n/.test(said) && said;
      }, 'the reload is refused');
      expect(told).toMatch(new RegExp(fault));
      expect(told).toContain(join(dir, 'in-use.'));
      expect(await shownLeaf()).toBe('second');
    }
    install(made.first);
    relay.program.child.kill('SIGHUP');
    await eventually(async () => (await shownLeaf()) === 'first', 'a good certificate is taken again');
    expect(device.program.stdout).not.toContain('"event":"offline"');
  });
});

describe('certificates that are broken at the start', () => {
  it.each([
    ['a missing file', 'server: { tls: { cert_file: none.pem, key_file: first.key } }', 'none.pem'],
    ['a file that is none', 'server: { tls: { cert_file: first.ext, key_file: first.key } }', 'first.ext'],
    ['a key that is none', 'server: { tls: { cert_file: first.pem, key_file: first.ext } }', 'first.ext'],
    ['the key of another', 'server: { tls: { cert_file: first.pem, key_file: second.key } }', 'is not the key of the first certificate'],
    ['one that has expired', 'server: { tls: { cert_file: expired.pem, key_file: expired.key } }', 'has expired'],
    ['a certificate without its key', 'server: { tls: { cert_file: first.pem } }', 'key_file'],
  ])('stop it for %s', async (name, config, named) => {
    const file = join(dir, `${name}.yaml`);
    writeFileSync(file, config);
    const data = join(system.dir, name);
    const { code, stdout, stderr } = await runRelay(['start', '--config', file, '--data', data, '--port', '0']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(named);
    expect(stderr).toContain('server.tls.');
  });
});
