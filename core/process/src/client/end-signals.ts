/** Signals that ask this program to end, with what they mean for a session. */
export type EndSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** Whom to tell what. */
export interface EndListener {
  /** Signals to listen to. SIGHUP only where a terminal has to be put back; elsewhere its default will do. */
  readonly signals: readonly EndSignal[];
  onSignal(name: EndSignal): void;
  /** The host gives up for another reason than a signal. */
  onAbort(): void;
}

/**
 * Listens to signals, and to the host, until the function it returns is called. The host's own signal aborts on the first
 * SIGINT; a session may live on after that one.
 */
export function watchEndSignals(host: AbortSignal, { signals, onSignal, onAbort }: EndListener): () => void {
  let seen = false;
  const listener = (name: NodeJS.Signals) => {
    seen = true;
    onSignal(name as EndSignal);
  };
  // The host may hear of a signal before this does, in the same turn.
  const aborted = () => void setImmediate(() => !seen && onAbort());
  for (const name of signals) process.on(name, listener);
  if (host.aborted) onAbort();
  else host.addEventListener('abort', aborted, { once: true });
  return () => {
    seen = true;
    for (const name of signals) process.off(name, listener);
    host.removeEventListener('abort', aborted);
  };
}
