import type { ListenerState, Log } from '@towline/contract';

/** The same trouble is logged again after so long, milliseconds. */
const REPEAT_MS = 300_000;

/** Logs how a listener is when that changes: trouble that comes and goes in the same words is a line every few minutes. */
export function createStateLog(log: Log) {
  const saidMs = new Map<string, number>();
  let saidUp = false;
  return ({ status, detail = '' }: Omit<ListenerState, 'figures'>, fields: Readonly<Record<string, unknown>>): void => {
    if (status === 'up') {
      if (!saidUp) log.info('QUIC is served', fields);
      saidUp = true;
      return;
    }
    const nowMs = performance.now();
    for (const [words, ms] of saidMs) if (nowMs - ms >= REPEAT_MS) saidMs.delete(words);
    if (saidMs.has(detail)) return;
    saidMs.set(detail, nowMs);
    saidUp = false;
    log.warn('QUIC is not served; links use TLS', { status, detail, ...fields });
  };
}
