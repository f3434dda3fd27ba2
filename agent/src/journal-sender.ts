import type { DeviceToRelay } from '@towline/protocol';
import type { SessionJournal } from './journal.ts';

/** Entries of one message. */
const MAX_BATCH = 100;
/** Entries that may be under way: after a long time offline the rest waits in the journal, not in the link. */
const MAX_UNDER_WAY = 500;

/**
 * Sends the journal over one link: what the relay has not acknowledged, then whatever is added. While a device has two
 * links, only the later one sends; acknowledgements count on both.
 */
export class JournalSender {
  readonly #journal: SessionJournal;
  readonly #send: (message: DeviceToRelay) => void;
  #sent: number;
  #acknowledged: number;
  #leave: () => void = () => {};

  /** `received`: number up to which the relay says it has the journal. */
  constructor(journal: SessionJournal, received: number, send: (message: DeviceToRelay) => void) {
    this.#journal = journal;
    this.#send = send;
    journal.resumeAfter(received);
    this.#sent = received;
    this.#acknowledged = received;
  }

  /** Begins to send. */
  start(): void {
    this.#leave = this.#journal.attach(this.#flush);
  }

  /** Sends no more: the link is over. */
  stop(): void {
    this.#leave();
  }

  /** The relay has stored everything up to this number. A number that was not sent is ignored. */
  acknowledge(received: number): void {
    if (received > this.#sent) return;
    this.#acknowledged = Math.max(this.#acknowledged, received);
    this.#journal.acknowledge(received);
    this.#flush();
  }

  readonly #flush = (): void => {
    while (this.#journal.isSending(this.#flush) && this.#sent - this.#acknowledged < MAX_UNDER_WAY) {
      const batch = this.#journal.after(this.#sent, MAX_BATCH);
      if (batch.length === 0) return;
      this.#sent = batch.at(-1)!.number;
      this.#send({ type: 'journal', entries: batch });
    }
  };
}
