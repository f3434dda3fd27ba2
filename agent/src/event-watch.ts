import type { Log } from '@towline/contract';
import { toTowlineError } from '@towline/protocol';
import type { EventSink, RuntimeEvent } from './events.ts';
import type { Settings } from './settings.ts';
import type { StatusChange, StatusFile } from './status-file.ts';

/** What follows from the events of a runtime. */
export interface EventWatchParts {
  /** Tells whoever watches. */
  readonly emit: EventSink;
  readonly status: StatusFile;
  readonly settings: Settings;
  readonly log: Log;
}

/** A sink of events that also keeps the status file, and what an event proves right. */
export interface EventWatch {
  readonly emit: EventSink;
  /** Resolves when all that was begun is done. */
  settled(): Promise<void>;
}

/** Passes events on, and sees to what they mean for the files of the runtime. */
export function createEventWatch({ emit, status, settings, log }: EventWatchParts): EventWatch {
  let keeping: Promise<void> | undefined;
  return {
    emit(event) {
      emit(event);
      status.update(statusOf(event));
      // Only a relay that was reached is worth keeping: then the way it is trusted is right.
      if (event.event === 'waiting' || event.event === 'enrolled' || event.event === 'online') keeping ??= keepTrust(settings, log);
    },
    settled: async () => keeping,
  };
}

async function keepTrust({ files, relay, trust }: Settings, log: Log): Promise<void> {
  if (trust.trustInvalid) return;
  const { fingerprint, ca } = trust;
  try {
    await files.saveTrust({
      url: relay.origin,
      trust: { ...(fingerprint === undefined ? {} : { fingerprint }), ...(ca === undefined ? {} : { ca }) },
    });
  } catch (error) {
    const { code, message } = toTowlineError(error);
    log.warn('how the relay is trusted could not be kept, so give it again next time', { code, message });
  }
}

function statusOf(event: RuntimeEvent): StatusChange {
  switch (event.event) {
    case 'waiting':
      return { state: 'waiting', request: event.request };
    case 'enrolled':
      return { name: event.name, request: null };
    case 'online':
      return { state: 'online', transport: event.transport, note: event.note ?? null, request: null };
    case 'offline':
      return { state: 'offline', transport: null, note: null, error: event };
    case 'stopped':
      return { state: 'stopped', transport: null, note: null, request: null, error: event };
  }
}
