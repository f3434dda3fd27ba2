import type { TrustSettings } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import { createRelayConnector } from '../src/trust/relay-connector.ts';
import { byCa, byPin, other, sendCredential, servers } from './trust-attempt.ts';
import { startPlainServer, startRecordingServer } from './trust-recording-server.ts';

describe('what cannot be reached', () => {
  it('refuses connections', async () => {
    const server = await startPlainServer(() => undefined);
    await server[Symbol.asyncDispose]();
    const { error } = await sendCredential(`127.0.0.1:${server.port}`, byCa(other));
    expect(error).toMatchObject({ code: 'relay_unreachable', message: `127.0.0.1 refuses connections on port ${server.port}.` });
  });

  it('has a name that cannot exist', async () => {
    // A label of 64 characters is refused by the resolver itself, so that no name server is asked.
    const { error } = await sendCredential(`${'a'.repeat(64)}.invalid:443`, byCa(other));
    expect(error).toMatchObject({ code: 'relay_unreachable', message: expect.stringMatching(/DNS/) });
  });

  it.each<[string, (trust: typeof other) => TrustSettings]>([
    ['with a CA', byCa],
    ['with a fingerprint', byPin],
  ])('never answers, %s', async (_how, trust) => {
    const server = await startPlainServer((socket) => socket.resume());
    servers.push(server);
    const { error } = await sendCredential(`127.0.0.1:${server.port}`, trust(other), { connectTimeoutMs: 150 });
    expect(error).toMatchObject({ code: 'relay_unreachable', message: expect.stringContaining('did not answer within 0.15 s') });
    await server.quiet();
  });

  it('closes every connection', async () => {
    const server = await startPlainServer((socket) => socket.destroy());
    servers.push(server);
    const { error } = await sendCredential(`127.0.0.1:${server.port}`, byCa(other));
    expect(error).toMatchObject({ code: 'relay_unreachable', message: expect.stringContaining('closed the connection') });
  });

  it('speaks HTTP without TLS', async () => {
    const server = await startPlainServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    servers.push(server);
    for (const trust of [byCa(other), byPin(other), { trustInvalid: true }]) {
      const { error } = await sendCredential(`127.0.0.1:${server.port}`, trust);
      expect(error).toMatchObject({ code: 'relay_not_towline', message: expect.stringContaining('does not speak TLS') });
    }
  });

  it.each([
    { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const,
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' } as const,
  ])('speaks only TLS of the past (%o)', async (past) => {
    const rsa = other.leaf;
    const server = await startRecordingServer({ cert: other.chainPem, key: rsa.keyPem, ...past });
    servers.push(server);
    const { error } = await sendCredential(`localhost:${server.port}`, byCa(other));
    expect(error).toMatchObject({ code: 'relay_not_towline', message: expect.stringContaining('TLS 1.2 or newer') });
    expect(server.received()).toHaveLength(0);
  });

  it('is left at once when the caller gives up', async () => {
    const server = await startPlainServer(() => undefined);
    servers.push(server);
    const relay = new URL(`https://127.0.0.1:${server.port}`);
    const caller = new AbortController();
    const connector = createRelayConnector({ relay, trust: byCa(other), environment: {}, warn: () => undefined });
    const attempt = connector.connect(caller.signal);
    caller.abort();
    await expect(attempt).rejects.toMatchObject({ code: 'cancelled' });
    await expect(connector.connect(caller.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});
