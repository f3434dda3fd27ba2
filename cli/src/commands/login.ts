import { apiKeyOfEnvironment } from '@towline/config/user-files';
import type { MeView, TrustSettings } from '@towline/contract';
import { parseFingerprint } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program, Typed } from '../invocation/program.ts';
import { askSecret, readSecretFromStdin } from '../login/ask-secret.ts';
import { readMe } from '../login/me.ts';
import { storeLogin } from '../login/store-login.ts';
import { shown } from '../output/terminal-text.ts';
import { createClient } from '../relay/access.ts';
import { requireUserKey } from '../relay/credential.ts';
import { type RelaySettings, readCaFile, readRelaySettings } from '../relay/settings.ts';

/** `towline login` */
export function loginCommand(program: Program): Command {
  const command = new Command('login')
    .description('log in to a relay and remember it')
    .option('--api-key <key>', 'API key; `-` reads it from stdin, so that the process list does not show it')
    .option('--fingerprint <sha256>', 'trust the relay by the fingerprint it prints when it starts')
    .option('--ca <file>', 'trust the relay by the certificate of its CA (PEM)');
  return program.bind(command, async (context, { options }) => {
    const settings = await readLoginSettings(context, options);
    const key = await readKey(context, settings, options.apiKey);
    const me = await check(context, settings, key);
    await storeLogin({ dir: settings.dir, url: settings.url, trust: settings.trust, apiKey: key });
    report(context, settings.url, me);
    return undefined;
  });
}

async function readLoginSettings(context: Context, options: Typed['options']): Promise<RelaySettings> {
  const settings = await readRelaySettings(context);
  const given = await trustOfOptions(options);
  // A pin that was asked for is not thrown to the wind by a variable of the environment.
  return given === undefined ? settings : { ...settings, trust: given };
}

async function trustOfOptions({ fingerprint, ca }: Typed['options']): Promise<TrustSettings | undefined> {
  if (typeof fingerprint === 'string' && typeof ca === 'string') {
    throw new TowlineError('usage', '--fingerprint and --ca were both given.', { hint: 'One of them is enough: choose.' });
  }
  if (typeof fingerprint === 'string') return { fingerprint: parseFingerprint(fingerprint) };
  return typeof ca === 'string' ? { ca: await readCaFile(ca, '--ca') } : undefined;
}

async function readKey(context: Context, settings: RelaySettings, option: Typed['options'][string]): Promise<string> {
  const { host, output } = context;
  if (option === '-') return requireUserKey(await readSecretFromStdin(host.stdin), 'The key on stdin');
  if (typeof option === 'string') {
    output.note('warning: a key on the command line is visible in the process list and stays in the history; prefer --api-key -');
    return requireUserKey(option, 'The key');
  }
  const key = apiKeyOfEnvironment(host.env);
  if (key !== undefined) {
    output.note('taking the API key from the environment');
    return requireUserKey(key, 'The key in the environment');
  }
  return requireUserKey(await askKey(context, settings), 'The key');
}

async function askKey(context: Context, settings: RelaySettings): Promise<string> {
  if (context.host.stdin.isTTY !== true) {
    throw new TowlineError('usage', 'There is no terminal to ask for the API key on.', {
      hint: 'Pipe it in with `--api-key -`, or set TOWLINE_API_KEY.',
    });
  }
  // Before anybody types a secret: is this the relay, and is it trusted?
  using api = createClient(context, settings);
  await api.request('GET', '/v1/login-methods', { signal: context.host.signal });
  return (await askSecret(context.host, `API key for ${settings.url.origin} (not shown): `)).trim();
}

async function check(context: Context, settings: RelaySettings, key: string): Promise<MeView> {
  using api = createClient(context, settings, { source: 'login', header: 'X-API-Key', value: key });
  const me = await readMe(api, context.host.signal);
  if (me.kind === 'user') return me;
  throw new TowlineError(
    'key_wrong_kind',
    `The relay takes the key for that of a ${shown(me.kind, 40)}, not of a user. Nothing was stored.`,
  );
}

function report({ output }: Context, url: URL, me: MeView): void {
  if (output.json) output.document({ ...me, relay: url.origin });
  else output.line(`logged in to ${url.origin} as ${shown(me.label, 320)}${me.admin ? ' (platform admin)' : ''}`);
}
