import type { Link, LinkEnd } from '@towline/contract';
import { type ErrorCode, TowlineError, toTowlineError } from '@towline/protocol';

/** The place of a link among those of this side. */
export interface LinkPlace {
  /** This side holds an older link as well, whose streams go on. */
  readonly beside: boolean;
  /** Tells that the peer has taken the link up: from then on it stands for this side, and a better one is looked for. */
  ready(): void;
}

/** How links are served; see {@link KeepLinkedOptions}. */
export interface LinkServing {
  readonly serve: (link: Link, signal: AbortSignal, place: LinkPlace) => Promise<void>;
  readonly hopeless: ReadonlySet<ErrorCode>;
  /** Closes the link when it aborts. */
  readonly signal: AbortSignal;
}

/** A link that is being served. */
export interface ServedLink {
  readonly link: Link;
  /** True once the peer has taken it up, false when it ended without that. Never rejects. */
  readonly taken: Promise<boolean>;
  /** Why it is over, once serving it is, too. Never rejects. */
  readonly over: Promise<TowlineError>;
}

/** Begins to serve a link. */
export function beginServing(link: Link, beside: boolean, serving: LinkServing): ServedLink {
  let ready: () => void = () => undefined;
  const told = new Promise<boolean>((resolve) => {
    ready = () => resolve(true);
  });
  const over = serveUntilClosed(link, { beside, ready }, serving);
  return { link, over, taken: Promise.race([told, over.then(() => false)]) };
}

async function serveUntilClosed(link: Link, place: LinkPlace, { serve, signal, hopeless }: LinkServing): Promise<TowlineError> {
  const over = new AbortController();
  let stopping: Promise<void> | undefined;
  const onStop = () => {
    stopping = link.close('link_closed', 'This side stops.');
  };
  if (signal.aborted) onStop();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    const served = serveLink(link, over.signal, { serve, place });
    const end = await link.closed;
    over.abort();
    return chooseReason(await served, end, hopeless);
  } finally {
    signal.removeEventListener('abort', onStop);
    await stopping;
  }
}

/** Resolves with what serving failed with while the link was up; the link is told and closed then. */
async function serveLink(
  link: Link,
  over: AbortSignal,
  { serve, place }: { readonly serve: LinkServing['serve']; readonly place: LinkPlace },
): Promise<TowlineError | undefined> {
  try {
    await serve(link, over, place);
    return undefined;
  } catch (error) {
    if (over.aborted) return undefined;
    const fault = toTowlineError(error);
    await link.close(fault.code, fault.message);
    return fault;
  }
}

/** Serving often fails because the link ends, so what the peer said of that comes first, unless only the fault is hopeless. */
function chooseReason(fault: TowlineError | undefined, end: LinkEnd, hopeless: ReadonlySet<ErrorCode>): TowlineError {
  const ended = new TowlineError(end.code, end.message);
  if (fault === undefined || hopeless.has(end.code)) return ended;
  return end.by === 'peer' && !hopeless.has(fault.code) ? ended : fault;
}
