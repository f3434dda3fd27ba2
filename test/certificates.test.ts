import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLadder, createProcessMemory } from '@towline/link';
import { afterAll, describe, expect, it } from 'vitest';
import {
  CERTIFICATE_CASES,
  type CertificateCase,
  makeNamed,
  makeRivals,
  makeUnbelievable,
  NAME_CASES,
} from './support/certificate-cases.ts';
import {
  attempt,
  CREDENTIAL,
  climb,
  createDials,
  type DialOptions,
  type Doors,
  hangUp,
  openDoors,
  request,
  TRANSPORTS,
} from './support/certificate-dials.ts';
import type { Shown } from './support/certificate-door.ts';
import { attemptByName, hostsFault } from './support/certificate-names.ts';

const noHosts = hostsFault();
const dir = mkdtempSync(join(tmpdir(), 'towline-certificates-'));
/** A QUIC server takes its time to take leave, so that all doors close together. */
const opened: Doors[] = [];
afterAll(async () => {
  await Promise.all(opened.map((doors) => doors[Symbol.asyncDispose]()));
  rmSync(dir, { recursive: true });
});

async function open(tcp: Shown | null, udp: Shown | null, host?: string): Promise<Doors> {
  const doors = await openDoors({ tcp, udp }, host);
  opened.push(doors);
  return doors;
}

/** Opens what a row asks for; without TCP, TLS cannot be asked what it thinks. */
async function prepare(row: CertificateCase, { tcp }: { readonly tcp: boolean }) {
  const { shown, listen, host = 'localhost', trust, environment = {} } = row.make(dir);
  const doors = await open(tcp ? shown : null, shown, listen);
  const options: DialOptions = { host, port: doors.port, trust, environment };
  return { doors, options };
}

const rowsWhere = (test: (row: CertificateCase) => boolean) => Object.entries(CERTIFICATE_CASES).filter(([, row]) => test(row));
const believed = rowsWhere(({ untrusted, notForQuic }) => !untrusted && !notForQuic);
const refused = rowsWhere(({ untrusted }) => untrusted !== undefined);
const notForQuic = rowsWhere((row) => row.notForQuic !== undefined);

describe('every transport believes', () => {
  it.each(believed)('%s', async (_name, row) => {
    const { doors, options } = await prepare(row, { tcp: true });
    for (const transport of TRANSPORTS)
      expect({ transport, ...(await attempt(transport, options)) }).toEqual({ transport, verdict: 'linked', message: '', warnings: [] });
    expect(doors.credentials()).toEqual([CREDENTIAL, CREDENTIAL, CREDENTIAL]);
    expect(await climb(options)).toMatchObject({ verdict: 'linked', transport: 'quic', note: undefined });
  });

  it.each(believed)('%s, over QUIC where TLS cannot be asked', async (_name, row) => {
    const { doors, options } = await prepare(row, { tcp: false });
    expect(await attempt('quic', options)).toMatchObject({ verdict: 'linked' });
    expect(doors.credentials()).toEqual([CREDENTIAL]);
  });
});

describe('no transport, nor the ladder, sends a byte for', () => {
  it.each(refused)('%s', async (_name, row) => {
    const { doors, options } = await prepare(row, { tcp: true });
    const overTls = await attempt('tls', options);
    expect(overTls).toMatchObject({ verdict: 'relay_untrusted', message: expect.stringMatching(row.untrusted!), warnings: [] });
    expect(await attempt('websocket', options)).toEqual(overTls);
    expect(await attempt('quic', options)).toEqual(overTls);
    expect(await climb(options)).toMatchObject({ verdict: 'relay_untrusted', message: overTls.message });
    await doors.quiet();
    expect(doors.udp!.connections()).toBeGreaterThan(0);
    expect(doors.tcp!.connections()).toBeGreaterThan(0);
    expect({ sent: doors.sentBytes(), credentials: doors.credentials() }).toEqual({ sent: 0, credentials: [] });
  });

  it.each([...refused, ...notForQuic])('%s, over QUIC where TLS cannot be asked', async (_name, row) => {
    const { doors, options } = await prepare(row, { tcp: false });
    expect(await attempt('quic', options)).toMatchObject({ verdict: 'relay_untrusted', message: expect.stringMatching(/./) });
    await doors.quiet();
    expect(doors.udp!.connections()).toBeGreaterThan(0);
    expect(doors.sentBytes()).toBe(0);
  });
});

describe('QUIC leaves to TLS', () => {
  it.each(notForQuic.map(([name, row]) => [name, row.notForQuic, row] as const))('%s: %s', async (_name, _why, row) => {
    const { doors, options } = await prepare(row, { tcp: true });
    expect(await attempt('quic', options)).toMatchObject({
      verdict: 'unavailable',
      message: expect.stringMatching(/^TLS accepts the certificate of the relay, but QUIC cannot check it\. For QUIC: The certificate/),
      warnings: [],
    });
    await doors.quiet();
    expect({ sent: doors.sentBytes(), credentials: doors.credentials() }).toEqual({ sent: 0, credentials: [] });
    for (const transport of ['tls', 'websocket'] as const) expect(await attempt(transport, options)).toMatchObject({ verdict: 'linked' });
    expect(await climb(options)).toMatchObject({ verdict: 'linked', transport: 'tls', note: expect.stringContaining('QUIC: TLS accepts') });
    expect(doors.udp!.sentBytes()).toBe(0);
  });
});

describe.skipIf(noHosts !== null)(`a certificate for${noHosts === null ? '' : ` (skipped: ${noHosts})`}`, () => {
  it.each(Object.entries(NAME_CASES))('%s fits a relay or not, the same on every transport', async (_name, { host, name, fits }) => {
    const { shown, trust } = makeNamed(name);
    const doors = await open(shown, shown);
    const outcomes = await attemptByName(dir, { host, port: doors.port, trust });
    const expected = fits
      ? { verdict: 'linked', message: '' }
      : { verdict: 'relay_untrusted', message: `The certificate of the relay is not for ${host}: it is for DNS:${name}.` };
    expect(outcomes).toEqual([expected, expected, expected]);
    await doors.quiet();
    if (!fits) expect(doors.sentBytes()).toBe(0);
    expect(doors.credentials()).toEqual(fits ? [CREDENTIAL, CREDENTIAL, CREDENTIAL] : []);
  });
});

describe('with TOWLINE_TRUST_INVALID_CERT', () => {
  it.each(TRANSPORTS)('%s believes everything, and says so each time', async (transport) => {
    const { shown, trust } = makeUnbelievable();
    const { port } = await open(shown, shown);
    for (let round = 0; round < 2; round += 1) {
      const { verdict, warnings } = await attempt(transport, { host: 'localhost', port, trust });
      expect({ verdict, warnings }).toEqual({
        verdict: 'linked',
        warnings: [expect.stringContaining(`TOWLINE_TRUST_INVALID_CERT is set, so the certificate of localhost:${port} is NOT checked`)],
      });
    }
  });
});

describe.each(['byCa', 'byPin'] as const)('somebody else, with the relay believed %s,', (how) => {
  it('on the UDP port cannot keep anybody from the relay: it is told, and TLS is used', async () => {
    const { honest, impostor, [how]: trust } = makeRivals();
    const doors = await open(honest, impostor);
    const options = { host: 'localhost', port: doors.port, trust };
    const text = `What answers on UDP port ${doors.port} of localhost is not the relay that answers over TLS`;
    const { verdict, message, warnings } = await attempt('quic', options);
    expect({ verdict, message }).toEqual({ verdict: 'relay_not_towline', message: expect.stringContaining(text) });
    expect(warnings).toEqual([expect.stringContaining(`WARNING: ${text}`)]);
    await doors.quiet();
    expect(doors.sentBytes()).toBe(0);
    expect(await climb(options)).toMatchObject({
      verdict: 'linked',
      transport: 'tls',
      note: expect.stringContaining(`QUIC: ${text}`),
      warnings,
    });
    expect({ udp: doors.udp!.sentBytes(), credentials: doors.credentials() }).toEqual({ udp: 0, credentials: [CREDENTIAL] });
  });

  it('on the UDP port is warned of once, until the relay is back there', async () => {
    const { honest, impostor, [how]: trust } = makeRivals();
    const warnings: string[] = [];
    const dials = createDials({}, (text) => void warnings.push(text));
    const dialAt = (port: number) => dials.quic.dial({ relay: new URL(`https://localhost:${port}`), ...request(trust) });
    const [wrong, right] = [await open(honest, impostor), await open(honest, honest)];
    for (let round = 0; round < 3; round += 1) await expect(dialAt(wrong.port)).rejects.toMatchObject({ code: 'relay_not_towline' });
    expect(warnings).toHaveLength(1);
    await hangUp(await dialAt(right.port));
    await expect(dialAt(wrong.port)).rejects.toMatchObject({ code: 'relay_not_towline' });
    expect(warnings).toHaveLength(2);
  });

  it('on the TCP port gets nothing: QUIC makes the link, and TLS alone refuses', async () => {
    const { honest, impostor, [how]: trust } = makeRivals();
    const doors = await open(impostor, honest);
    const options = { host: 'localhost', port: doors.port, trust };
    expect(await climb(options)).toMatchObject({ verdict: 'linked', transport: 'quic', warnings: [] });
    for (const transport of ['tls', 'websocket'] as const)
      expect(await attempt(transport, options)).toMatchObject({ verdict: 'relay_untrusted' });
    await doors.tcp!.quiet();
    expect(doors.tcp!.sentBytes()).toBe(0);
    expect(doors.credentials()).toEqual([CREDENTIAL]);
  });

  it('on both ports ends the dial at once, and gets nothing', async () => {
    const { impostor, [how]: trust } = makeRivals();
    const doors = await open(impostor, impostor);
    expect(await climb({ host: 'localhost', port: doors.port, trust })).toMatchObject({ verdict: 'relay_untrusted', warnings: [] });
    await doors.quiet();
    expect(doors.sentBytes()).toBe(0);
  });

  it('on the UDP port, where nothing answers on TCP, gets nothing', async () => {
    const { impostor, [how]: trust } = makeRivals();
    const doors = await open(null, impostor);
    const options = { host: 'localhost', port: doors.port, trust };
    expect(await attempt('quic', options)).toMatchObject({ verdict: 'relay_untrusted', warnings: [] });
    expect(await climb(options)).toMatchObject({ verdict: 'relay_untrusted' });
    await doors.quiet();
    expect(doors.sentBytes()).toBe(0);
  });
});

describe('a dial that is given up', () => {
  it('while TLS is asked about the certificate ends with the reason of its signal', async () => {
    const { impostor, byCa } = makeRivals();
    const doors = await open(null, impostor);
    const giveUp = new AbortController();
    // Takes the connection and says nothing.
    const silence = createServer((socket) => {
      socket.on('error', () => undefined);
      giveUp.abort();
    });
    silence.listen(doors.port, '127.0.0.1');
    await once(silence, 'listening');
    try {
      const relay = new URL(`https://localhost:${doors.port}`);
      const dialled = createDials({}, () => undefined).quic.dial({ relay, ...request(byCa, giveUp.signal) });
      await expect(dialled).rejects.toMatchObject({ code: 'cancelled' });
    } finally {
      silence.close();
    }
  });
});

describe('the ladder', () => {
  it('remembers nothing of a relay that it did not reach', async () => {
    const { impostor, byCa } = makeRivals();
    const { port } = await open(impostor, impostor);
    const relay = new URL(`https://localhost:${port}`);
    const memory = createProcessMemory();
    const dials = createDials({}, () => undefined);
    const ladder = createLadder({ relay, rungs: TRANSPORTS.map((name) => dials[name]), memory });
    await expect(ladder.dial(request(byCa))).rejects.toMatchObject({ code: 'relay_untrusted' });
    expect(await memory.recall(relay.origin)).toBeUndefined();
  });
});
