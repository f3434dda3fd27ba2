import type { ListenerState, TransportListener } from '@towline/contract';
import { printable } from '@towline/protocol';
import { maskSecrets } from '../redaction.ts';

/** Longest detail that is shown, characters. */
const MAX_DETAIL = 300;
/** Figures of one listener that are shown. */
const MAX_FIGURES = 64;
/** What can be a part of the name of a metric. */
const FIGURE_NAME = /^[a-z][a-z0-9_]{0,62}$/;

const UNREADABLE: ListenerState = Object.freeze({ status: 'down', detail: 'The listener does not tell how it is.', figures: {} });

/** The state of a listener, fit for anybody to see: whatever its plugin answers, or throws, this is a state without secrets. */
export function readListenerState(listener: TransportListener): ListenerState {
  try {
    const { status, detail, figures } = listener.state;
    if (status !== 'up' && status !== 'down' && status !== 'unavailable') return UNREADABLE;
    return { status, ...(typeof detail === 'string' ? { detail: publicText(detail) } : {}), figures: usableFigures(figures) };
  } catch {
    return UNREADABLE;
  }
}

function publicText(detail: string): string {
  return printable(maskSecrets(detail)).slice(0, MAX_DETAIL);
}

function usableFigures(figures: Readonly<Record<string, number>> | undefined): ListenerState['figures'] {
  const usable = Object.entries(figures ?? {}).filter(([name, value]) => FIGURE_NAME.test(name) && Number.isFinite(value) && value >= 0);
  return Object.fromEntries(usable.slice(0, MAX_FIGURES));
}
