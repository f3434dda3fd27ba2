import type { Link } from '@towline/contract';
import { type ControlChannel, createControlChannel, watchLiveness } from '@towline/link';
import {
  type ClientToRelay,
  CONTROL_PROTOCOL,
  clientToRelay,
  encodeJson,
  PROTOCOL_LEVEL,
  type RelayToClient,
  relayToClient,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import type { Context } from '../context.ts';
import { shown } from '../output/terminal-text.ts';
import { renewOptions } from '../relay/access.ts';
import { chooseCredential } from '../relay/credential.ts';
import { type RelaySettings, readRelaySettings } from '../relay/settings.ts';
import { dialBy } from '../relay/transports.ts';
import { readVersion } from '../version.ts';
import { keepRenewed, type LinkRenewal, type RenewalOptions } from './link-renewal.ts';

/** Time for the relay's welcome, milliseconds: two losses on a slow line. */
const WELCOME_DEADLINE_MS = 10_000;
/** Stands before a token in its header. */
const BEARER = 'Bearer ';

/** A link and its control stream. */
export interface DialledLink {
  readonly link: Link;
  readonly control: LinkControl;
}

/** Makes a link to the relay as the user. @throws TowlineError what the relay refuses it with, or why it cannot be reached or trusted. */
export async function dialRelay(context: Context, signal: AbortSignal): Promise<DialledLink> {
  const settings = await readRelaySettings(context);
  const credential = await chooseCredential(context.host.env, settings, renewOptions(context));
  const { globals, host, output } = context;
  output.detail(`dialling ${settings.url.origin}, transport ${globals.transport}`);
  const { link, transport, note } = await dialBy(
    globals.transport,
    {
      relay: settings.url,
      role: 'client',
      credential: { header: credential.header, value: credential.value },
      trust: settings.trust,
      signal,
    },
    { environment: host.env, warn: (text) => output.note(text) },
  );
  output.detail(`linked over ${transport}${note === undefined ? '' : `; ${shown(note, 400)}`}`);
  return { link, control: startControl(link, (control, welcome) => renewal(context, settings, { credential, control, welcome })) };
}

/** Only tokens end while they are renewed: a key is as long valid as it was made to be. */
function renewal(
  context: Context,
  settings: RelaySettings,
  about: Pick<RenewalOptions, 'credential' | 'control' | 'welcome'>,
): LinkRenewal | undefined {
  if (about.credential.kind !== 'token') return undefined;
  const { host, output } = context;
  // Whether a token could be renewed is said by the renewal itself, and the end of a command does not cut it off.
  const quiet = { now: () => host.now(), warn: (text: string) => output.detail(text) };
  return keepRenewed({
    ...about,
    renew: ({ value }) => chooseCredential(host.env, settings, { ...quiet, replacing: value.slice(BEARER.length) }),
    warn: (text) => output.note(text),
  });
}

/** The control stream of a link. */
export interface LinkControl {
  /** Ends what it does by itself, and waits for it. */
  stop(): Promise<void>;
}

type Control = ControlChannel<ClientToRelay, RelayToClient>;
type Welcome = Extract<RelayToClient, { type: 'welcome' }>;

/** Says hello and keeps the link alive. What follows need not wait for the welcome: it travels in the same flight. */
function startControl(link: Link, renewalOf: (control: Control, welcome: Welcome) => LinkRenewal | undefined): LinkControl {
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel<ClientToRelay, RelayToClient>(stream, { encode: clientToRelay, decode: relayToClient });
  let renewing: LinkRenewal | undefined;
  const stop = async () => renewing?.[Symbol.asyncDispose]();
  control.send({ type: 'hello', level: PROTOCOL_LEVEL, version: readVersion() });
  control
    .next(AbortSignal.timeout(WELCOME_DEADLINE_MS))
    .then((welcome) => {
      if (welcome.type === 'goodbye') return;
      if (welcome.type !== 'welcome') throw new TowlineError('protocol_error', 'The relay sent something else than its welcome.');
      watchLiveness(link, control);
      renewing = renewalOf(control, welcome);
    })
    .catch((error: unknown) => link.close(toTowlineError(error).code, toTowlineError(error).message));
  void link.closed.then(stop);
  // Echoes are answered by the channel, and a goodbye is followed by the end of the link, which says the same.
  control.onMessage((message) => renewing?.take(message));
  return { stop };
}
