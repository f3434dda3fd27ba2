import type { Link, OpenedSession } from '@towline/contract';
import { createControlChannel, watchLiveness } from '@towline/link';
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
import { chooseCredential } from '../relay/credential.ts';
import { readRelaySettings } from '../relay/settings.ts';
import { dialBy } from '../relay/transports.ts';
import { readVersion } from '../version.ts';
import { type Opening, openSession } from './open-session.ts';

/** Time for the relay's welcome, milliseconds: two losses on a slow line. */
const WELCOME_DEADLINE_MS = 10_000;
/** Time in which the end of a link may still send what is queued, milliseconds. */
const CLOSE_GRACE_MS = 1_000;

/** A link to the relay that is made when the first session is asked for. */
export interface DeviceLink extends AsyncDisposable {
  /** Opens a session. @throws TowlineError when relay or device refuse it. */
  open(opening: Opening): Promise<OpenedSession>;
}

/** Prepares a link; nothing is dialled yet. */
export function createDeviceLink(context: Context): DeviceLink {
  let dialled: Promise<Link> | undefined;
  return {
    open: async (opening) => {
      dialled ??= dialRelay(context, opening.signal);
      return openSession(await dialled, opening);
    },
    [Symbol.asyncDispose]: async () => {
      const link = await dialled?.catch(() => undefined);
      await link?.close('link_closed', 'The command has ended.', CLOSE_GRACE_MS);
    },
  };
}

async function dialRelay(context: Context, signal: AbortSignal): Promise<Link> {
  const settings = await readRelaySettings(context);
  const { header, value } = await chooseCredential(context.host.env, settings);
  const { globals, host, output } = context;
  output.detail(`dialling ${settings.url.origin}, transport ${globals.transport}`);
  const { link, transport, note } = await dialBy(
    globals.transport,
    { relay: settings.url, role: 'client', credential: { header, value }, trust: settings.trust, signal },
    { environment: host.env, warn: (text) => output.note(text) },
  );
  output.detail(`linked over ${transport}${note === undefined ? '' : `; ${shown(note, 400)}`}`);
  startControl(link);
  return link;
}

/** Says hello and keeps the link alive. What follows need not wait for the welcome: it travels in the same flight. */
function startControl(link: Link): void {
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel<ClientToRelay, RelayToClient>(stream, { encode: clientToRelay, decode: relayToClient });
  control.send({ type: 'hello', level: PROTOCOL_LEVEL, version: readVersion() });
  control
    .next(AbortSignal.timeout(WELCOME_DEADLINE_MS))
    .then((welcome) => {
      if (welcome.type === 'goodbye') return;
      if (welcome.type !== 'welcome') throw new TowlineError('protocol_error', 'The relay sent something else than its welcome.');
      watchLiveness(link, control);
    })
    .catch((error: unknown) => link.close(toTowlineError(error).code, toTowlineError(error).message));
  // Echoes are answered by the channel, and a goodbye is followed by the end of the link, which says the same.
  control.onMessage(() => {});
}
