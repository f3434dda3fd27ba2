import type { Log } from '@towline/contract';
import type { DeviceId, JournalEntry, SessionId } from '@towline/protocol';
import type { SessionLedger } from '../sessions/ledger.ts';
import type { Turns } from './turns.ts';

/** Takes in the journal of one device link. */
export interface JournalIntake {
  /** @throws TowlineError `link_flooded` when the device does not wait for acknowledgements. */
  take(entries: readonly JournalEntry[]): void;
}

/**
 * Records what a device reports, one message after the other, and acknowledges what is durable. After a failure
 * nothing more is acknowledged on this link: the device sends it all again on its next one.
 */
export function createJournalIntake(
  device: DeviceId,
  parts: { readonly ledger: SessionLedger; readonly turns: Turns; readonly log: Log; readonly acknowledge: (received: number) => void },
): JournalIntake {
  let failed = false;
  const record = async (entries: readonly JournalEntry[]) => {
    if (failed) return;
    try {
      for (const entry of entries) {
        if (entry.type === 'end') await parts.ledger.report(device, entry.session as SessionId, reportOf(entry));
        if (entry.type === 'note') await parts.ledger.note(device, entry.session as SessionId, entry);
      }
      const last = entries.at(-1);
      if (last !== undefined) parts.acknowledge(last.number);
    } catch (error) {
      failed = true;
      parts.log.error('a journal could not be recorded; the device will send it again', { device, error });
    }
  };
  return { take: (entries) => parts.turns(() => record(entries), entries.length + 1) };
}

function reportOf(entry: Extract<JournalEntry, { type: 'end' }>) {
  return { end: entry.end, bytesToDevice: entry.bytes_to_device, bytesFromDevice: entry.bytes_from_device, ageMs: entry.age_ms };
}
