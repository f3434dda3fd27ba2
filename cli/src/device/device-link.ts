import type { OpenedSession } from '@towline/contract';
import type { Context } from '../context.ts';
import { type Opening, openSession } from './open-session.ts';
import { type DialledLink, dialRelay } from './relay-link.ts';

/** Time in which the end of a link may still send what is queued, milliseconds. */
const CLOSE_GRACE_MS = 1_000;

/** A link to the relay that is made when the first session is asked for, and made anew for the next one after it is over. */
export interface DeviceLink extends AsyncDisposable {
  /** Opens a session. @throws TowlineError when relay or device refuse it. */
  open(opening: Opening): Promise<OpenedSession>;
}

/** Prepares a link; nothing is dialled yet. */
export function createDeviceLink(context: Context): DeviceLink {
  let dialled: Promise<DialledLink> | undefined;
  return {
    open: async (opening) => {
      dialled ??= dial(context, opening.signal, (over) => {
        if (dialled === over) dialled = undefined;
      });
      return openSession((await dialled).link, opening);
    },
    [Symbol.asyncDispose]: async () => {
      const made = await dialled?.catch(() => undefined);
      await made?.control.stop();
      await made?.link.close('link_closed', 'The command has ended.', CLOSE_GRACE_MS);
    },
  };
}

/** Dials; `forget` is called with what this answers when the link cannot be had or is over. */
function dial(context: Context, signal: AbortSignal, forget: (over: Promise<DialledLink>) => void): Promise<DialledLink> {
  const dialled = dialRelay(context, signal);
  dialled.then(
    ({ link }) => link.closed.then(() => forget(dialled)),
    () => forget(dialled),
  );
  return dialled;
}
