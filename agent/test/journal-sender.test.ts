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

  it('goes over the later of two links, and over the earlier one again when the later is lost first', () => {
    const journal = journalOf(2);
    const [old, young] = [sendOf(journal), sendOf(journal)];
    const add = () => journal.start(createId<SessionId>(), '/exec/1');
    old.sender.start();
    young.sender.start();
    add();
    expect([old.batches, young.batches]).toEqual([[upTo(1, 2)], [upTo(1, 2), [3]]]);
    // What the earlier link carried counts, but it carries no more.
    old.sender.acknowledge(2);
    expect(journal.size).toBe(1);
    add();
    expect(old.batches).toHaveLength(1);
    young.sender.stop();
    expect(old.batches.slice(1)).toEqual([upTo(3, 4)]);
    old.sender.acknowledge(4);
    expect(journal.size).toBe(0);
    add();
    expect([old.batches.at(-1), young.batches.at(-1)]).toEqual([[5], [4]]);
  });

  it('is left alone by the end of the earlier link', () => {
    const journal = journalOf(1);
    const [old, young] = [sendOf(journal), sendOf(journal)];
    old.sender.start();
    young.sender.start();
    old.sender.stop();
    journal.start(createId<SessionId>(), '/exec/1');
    expect(young.batches).toEqual([[1], [2]]);
    young.sender.stop();
    journal.start(createId<SessionId>(), '/exec/1');
    expect([old.batches.length, young.batches.length]).toEqual([1, 2]);
  });
});
