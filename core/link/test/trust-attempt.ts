import { createHash, createPublicKey } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { TrustSettings } from '@towline/contract';
import { afterEach } from 'vitest';
import { createRelayConnector } from '../src/trust/relay-connector.ts';
import { TLS_POLICY } from '../src/trust/tls-policy.ts';
import { makeTestPair, type TestCertificate } from './trust-certificates.ts';
import { type RecordingServer, startRecordingServer } from './trust-recording-server.ts';

/** What a program would send once it has a connection. */
export const CREDENTIAL = 'X-API-Key: twl_u_secret';
/** Servers that end with the test. */
export const servers: AsyncDisposable[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

/** Fingerprint by another way than the one under test. */
export function fingerprintOf({ key }: TestCertificate): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

/** A recording server with this chain; it ends with the test. */
export async function serve(leaf: TestCertificate, chainPem: string, address?: string): Promise<RecordingServer> {
  const server = await startRecordingServer({ cert: chainPem, key: leaf.keyPem }, address);
  servers.push(server);
  return server;
}

/** What came of dialling. */
export interface Attempt {
  readonly warnings: string[];
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** Does what every dialler does: connects to HOST:PORT, and sends a credential on what it gets. */
export async function sendCredential(
  authority: string,
  trust: TrustSettings,
  extra: Partial<Parameters<typeof createRelayConnector>[0]> = {},
): Promise<Attempt> {
  const warnings: string[] = [];
  const warn = (text: string) => warnings.push(text);
  const relay = new URL(`https://${authority}`);
  const connector = createRelayConnector({ relay, trust, environment: {}, warn, connectTimeoutMs: 4_000, ...extra });
  try {
    const socket = await connector.connect(new AbortController().signal);
    socket.resume().end(CREDENTIAL);
    return { warnings };
  } catch (error) {
    return { warnings, error: error as NonNullable<Attempt['error']> };
  }
}

/** A CA and leaf that have nothing to do with those of a test. */
export const other = makeTestPair();
/** Trust by the certificate of the CA. */
export const byCa = ({ ca }: { ca: TestCertificate }) => ({ ca: ca.pem });
/** Trust by the fingerprint of the CA. */
export const byPin = ({ ca }: { ca: TestCertificate }) => ({ fingerprint: fingerprintOf(ca) });

/** What a server presents. */
export function createContext(pair: { readonly leaf: TestCertificate; readonly chainPem: string }): SecureContext {
  return createSecureContext({ ...TLS_POLICY, cert: pair.chainPem, key: pair.leaf.keyPem });
}
