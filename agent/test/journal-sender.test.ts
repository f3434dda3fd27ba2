import { createId, type DeviceToRelay, type SessionId } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { SessionJournal } from '../src/journal.ts';
import { JournalSender } from '../src/journal-sender.ts';

function journalOf(entries: number): SessionJournal {
  const journal = new SessionJournal({ monotonicMs: () => 0 });
  for (let at = 0; at < entries; at += 1) journal.start(createId<SessionId>(), '/exec/1');
  return journal;
}

function sendOf(journal: SessionJournal, received = 0) {
  const batches: number[][] = [];
  const take = (message: DeviceToRelay) => {
    if (message.type === 'journal') batches.push(message.entries.map((entry) => entry.number));
  };
  return { batches, sender: new JournalSender(journal, received, take) };
}

const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_none, at) => first + at);

describe('sending the journal', () => {
  it('goes in batches of 100, and waits for acknowledgements when 500 entries are under way', () => {
    const { batches, sender } = sendOf(journalOf(730));
    sender.start();
    expect(batches).toEqual([upTo(1, 100), upTo(101, 200), upTo(201, 300), upTo(301, 400), upTo(401, 500)]);
    sender.acknowledge(200);
    expect(batches.slice(5)).toEqual([upTo(501, 600), upTo(601, 700)]);
    sender.acknowledge(700);
    expect(batches.at(-1)).toEqual(upTo(701, 730));
  });

  it('sends what is added at once, and nothing once the link is over', () => {
    const journal = journalOf(0);
    const { batches, sender } = sendOf(journal);
    sender.start();
    journal.start(createId<SessionId>(), '/exec/1');
    expect(batches).toEqual([[1]]);
    sender.stop();
    journal.start(createId<SessionId>(), '/exec/1');
    expect(batches).toHaveLength(1);
  });

  it('leaves out what the relay says it has, and ignores the acknowledgement of what was not sent', () => {
    const journal = journalOf(10);
    const { batches, sender } = sendOf(journal, 4);
    sender.acknowledge(9);
    expect(journal.size).toBe(6);
    sender.start();
    expect(batches).toEqual([upTo(5, 10)]);
  });
});
