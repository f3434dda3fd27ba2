import type { LoginMethod, MeView, TrustSettings } from '@towline/contract';
import { parseFingerprint } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program, Typed } from '../invocation/program.ts';
import { loginByAskedKey, loginByEnvironment, loginByGivenKey } from '../login/by-api-key.ts';
import { chooseMethod } from '../login/choose-method.ts';
import { findProvider, optionOf, readLoginMethods } from '../login/login-methods.ts';
import { readMe } from '../login/me.ts';
import type { ObtainedLogin } from '../login/obtained-login.ts';
import { storeLogin } from '../login/store-login.ts';
import { shown } from '../output/terminal-text.ts';
import { createClient } from '../relay/access.ts';
import { type RelaySettings, readCaFile, readRelaySettings } from '../relay/settings.ts';

/** `towline login` */
export function loginCommand(program: Program): Command {
  const command = new Command('login')
    .description('log in to a relay and remember it')
    .option('--api-key <key>', 'API key; `-` reads it from stdin, so that the process list does not show it')
    .option('--basic [source]', 'by user name and password; `-` reads USER:PASSWORD from stdin')
    .option('--provider <name>', 'at this identity provider: its label or issuer')
    .option('--fingerprint <sha256>', 'trust the relay by the fingerprint it prints when it starts')
    .option('--ca <file>', 'trust the relay by the certificate of its CA (PEM)');
  return program.bind(command, async (context, { options }) => {
    refuseSeveral(options);
    const settings = await readLoginSettings(context, options);
    const login = await obtainLogin(context, settings, options);
    const me = await checkAndStore(context, settings, login);
    report(context, settings.url, me);
    return undefined;
  });
}

function refuseSeveral({ apiKey, basic, provider }: Typed['options']): void {
  const given = Object.entries({ '--api-key': apiKey, '--basic': basic, '--provider': provider }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length > 1) {
    throw new TowlineError('usage', `${given.map(([name]) => name).join(' and ')} were both given.`, {
      hint: 'One of them is enough: choose.',
    });
  }
  if (typeof basic === 'string' && basic !== '-') {
    throw new TowlineError('usage', '--basic takes no user name or password: the process list would show them.', {
      hint: 'Leave the word out to be asked, or pipe in USER:PASSWORD with `--basic -`.',
    });
  }
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

async function obtainLogin(context: Context, settings: RelaySettings, options: Typed['options']): Promise<ObtainedLogin> {
  if (typeof options.apiKey === 'string') return loginByGivenKey(context, options.apiKey);
  const chosen = options.basic !== undefined || options.provider !== undefined;
  const ofEnvironment = chosen ? undefined : loginByEnvironment(context);
  if (ofEnvironment !== undefined) return ofEnvironment;
  // Before anybody types a secret: is this the relay, is it trusted, and what does it offer?
  const method = await pickMethod(context, settings, options);
  if (method.method === 'device_flow') return (await import('../login/by-device-flow.ts')).loginAtProvider(context, settings, method);
  if (method.method === 'api_key') return loginByAskedKey(context, settings);
  return (await import('../login/by-basic.ts')).loginByBasic(context, settings, options.basic === '-');
}

async function pickMethod(context: Context, settings: RelaySettings, { basic, provider }: Typed['options']): Promise<LoginMethod> {
  using api = createClient(context, settings);
  const methods = await readLoginMethods(api, context.host.signal);
  if (typeof provider === 'string') return findProvider(methods, provider);
  if (basic === undefined) return chooseMethod(context.host, methods);
  const offered = methods.find(({ method }) => method === 'basic');
  if (offered !== undefined) return offered;
  throw new TowlineError('usage', 'The relay takes no user names and passwords.', {
    hint: `It offers ${methods.map(optionOf).join(', ') || 'nothing that this version knows'}.`,
  });
}

/** Nothing is stored that the relay does not accept. */
async function checkAndStore(context: Context, settings: RelaySettings, login: ObtainedLogin): Promise<MeView> {
  try {
    const me = await check(context, settings, login);
    await storeLogin({ dir: settings.dir, url: settings.url, trust: settings.trust, credentials: login.stored });
    return me;
  } catch (error) {
    if (login.undo !== undefined) {
      context.output.note('the login was not kept, and is revoked at the identity provider');
      await login.undo();
    }
    throw error;
  }
}

async function check(context: Context, settings: RelaySettings, { credential }: ObtainedLogin): Promise<MeView> {
  using api = createClient(context, settings, credential);
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
  if (me.email_note) output.note(`the relay takes no e-mail address from this login: ${shown(me.email_note, 300)}`);
}
