import { userFolder } from '@towline/config/user-files';
import { createRelayConnector, type HttpProxy, type RelayConnector, resolveProxy } from '@towline/link';
import type { Context } from '../context.ts';
import { findTarget, type Target } from './target.ts';

/** Time for one connection with its TLS handshake, milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;

/** What is examined. */
export interface Subject {
  /** As commands have it; of equal notes the first alone is printed. */
  readonly context: Context;
  /** Folder of the user's files. */
  readonly dir: string;
  /** The relay, found once. @throws TowlineError see {@link findTarget}. */
  readonly target: () => Promise<Target>;
  /** The proxy that TCP connections to the relay go through; undefined without one. @throws TowlineError `config_invalid`. */
  readonly proxy: () => Promise<HttpProxy | undefined>;
}

/** Makes the subject of an examination; nothing is read yet. @throws TowlineError `usage` for a name that is no profile's. */
export function createSubject(context: Context): Subject {
  const { globals, host } = context;
  const target = once(() => findTarget(context));
  return {
    context: notingOnce(context),
    dir: userFolder({ env: host.env, profile: globals.profile }),
    target,
    proxy: once(async () => resolveProxy((await target()).url, host.env)),
  };
}

/** The connector that requests and links go through, with less patience. */
export async function connectorTo({ context, target }: Subject): Promise<RelayConnector> {
  const { url: relay, trust } = await target();
  const warn = (text: string) => context.output.note(text);
  return createRelayConnector({ relay, trust, environment: context.host.env, warn, connectTimeoutMs: CONNECT_TIMEOUT_MS });
}

/** Many connections are made, and each would warn of the same. */
function notingOnce(context: Context): Context {
  const noted = new Set<string>();
  const note = (text: string) => {
    if (!noted.has(text)) context.output.note(text);
    noted.add(text);
  };
  return { ...context, output: { ...context.output, note } };
}

function once<Value>(find: () => Promise<Value>): () => Promise<Value> {
  let found: Promise<Value> | undefined;
  return () => (found ??= find());
}
