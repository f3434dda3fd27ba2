import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Clock, Log } from '@towline/contract';
import { parseCertificates } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { createIntrospection, type Introspection, type IntrospectionClient } from './introspect.ts';
import { createIssuer, type Issuer, reasonOf } from './issuer.ts';
import type { OidcOptions } from './options.ts';
import { createProviderClient } from './provider-client.ts';
import { createUserinfo, type Userinfo } from './userinfo.ts';

/** What the plugin works with. */
export interface OidcAuthParts {
  readonly options: OidcOptions;
  readonly log: Log;
  readonly clock: Clock;
  /** Folder against which paths of files count. */
  readonly baseDir: string;
  /** Where SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are looked up. */
  readonly environment: NodeJS.ProcessEnv;
}

/** Everything by which the provider is asked; there from the start on. */
export interface Asking {
  readonly issuer: Issuer;
  readonly introspect: Introspection | undefined;
  readonly userinfo: Userinfo;
}

/** Warnings about one endpoint are this far apart, milliseconds. */
const WARN_EVERY_MS = 10_000;

/** Reads the files that the options name and makes what the provider is asked by. @throws TowlineError `config_invalid`. */
export async function openAsking({ options, log, clock, baseDir, environment }: OidcAuthParts, closing: AbortSignal): Promise<Asking> {
  const ca = options.ca_file === undefined ? undefined : await readText(options.ca_file, baseDir, 'ca_file');
  if (ca !== undefined) parseCertificates(ca, `ca_file (${options.ca_file})`);
  const http = createProviderClient({ issuer: options.issuer, ca, environment });
  const issuer = createIssuer({ issuer: options.issuer, client: http, clock, log, closing });
  const failed = createWarning(log, clock, options.issuer);
  const common = { options, issuer, http, clock, closing, failed };
  const credential = await readCredential(options, baseDir);
  const introspect = credential === undefined ? undefined : createIntrospection({ ...common, credential });
  return { issuer, introspect, userinfo: createUserinfo(common) };
}

async function readCredential({ introspection }: OidcOptions, baseDir: string): Promise<IntrospectionClient | undefined> {
  if (introspection === undefined) return undefined;
  const { client_id: id, client_secret, client_secret_file } = introspection;
  const secret = client_secret ?? (await readText(client_secret_file!, baseDir, 'introspection.client_secret_file')).trim();
  if (secret === '') throw new TowlineError('config_invalid', 'introspection.client_secret_file is empty.');
  return { id, secret };
}

async function readText(path: string, baseDir: string, key: string): Promise<string> {
  try {
    return await readFile(resolve(baseDir, path), 'utf8');
  } catch (cause) {
    throw new TowlineError('config_invalid', `${key} names ${path}, which cannot be read.`, { cause });
  }
}

/** Warns that the provider could not be asked about a token, at a bounded rate. */
function createWarning(log: Log, clock: Clock, issuer: string): (error: unknown) => void {
  let last: number | undefined;
  return (error) => {
    const now = clock.now();
    if (last !== undefined && now >= last && now - last < WARN_EVERY_MS) return;
    last = now;
    log.warn('The identity provider could not be asked about a token, which was refused for now.', { issuer, reason: reasonOf(error) });
  };
}
