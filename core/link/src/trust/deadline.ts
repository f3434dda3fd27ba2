import { isTowlineError, TowlineError } from '@towline/protocol';

/** A signal that aborts when its time is up or its parent aborts. Whoever starts it disposes it. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** Starts a deadline of `ms` milliseconds. The reason of its signal is always a TowlineError: `expired()`, or the parent's. */
export function startDeadline(ms: number, expired: () => TowlineError, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const onParent = () => controller.abort(cancellation(parent!));
  const timer = setTimeout(() => controller.abort(expired()), ms);
  if (parent?.aborted) onParent();
  parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Why a signal was aborted, as a TowlineError: its own reason if it is one, else `cancelled`. */
export function cancellation(signal: AbortSignal): TowlineError {
  return isTowlineError(signal.reason) ? signal.reason : new TowlineError('cancelled', undefined, { cause: signal.reason });
}
