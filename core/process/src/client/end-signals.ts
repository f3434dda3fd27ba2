/** Signals that ask this program to end, with what they mean for a session. */
export type EndSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

const SIGNALS: readonly EndSignal[] = Object.freeze(['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * Calls `onSignal` for each such signal, and `onAbort` when the host gives up for another reason, until the function
 * it returns is called. The host's own signal aborts on the first SIGINT; a session may live on after that one.
 */
export function watchEndSignals(
  host: AbortSignal,
  { onSignal, onAbort }: { onSignal(name: EndSignal): void; onAbort(): void },
): () => void {
  let seen = false;
  const listener = (name: NodeJS.Signals) => {
    seen = true;
    onSignal(name as EndSignal);
  };
  // The host may hear of a signal before this does, in the same turn.
  const aborted = () => void setImmediate(() => !seen && onAbort());
  for (const name of SIGNALS) process.on(name, listener);
  if (host.aborted) onAbort();
  else host.addEventListener('abort', aborted, { once: true });
  return () => {
    seen = true;
    for (const name of SIGNALS) process.off(name, listener);
    host.removeEventListener('abort', aborted);
  };
}
