import { TowlineError } from '@towline/protocol';

/** Messages that may wait for one that takes its time, as one that writes to disk. */
const MAX_WAITING = 1_000;

/**
 * Handles messages one after the other. The first failure is reported and ends the queue; so does a peer that
 * sends faster than its messages can be handled.
 */
export function createMessageQueue<Message>(
  handle: (message: Message) => Promise<void>,
  fail: (error: unknown) => void,
): (message: Message) => void {
  let turn: Promise<void> = Promise.resolve();
  let waiting = 0;
  return (message) => {
    if (waiting >= MAX_WAITING)
      return fail(new TowlineError('link_flooded', 'The relay sends control messages faster than they can be obeyed.'));
    waiting += 1;
    turn = turn.then(async () => {
      await handle(message);
      waiting -= 1;
    });
    turn.catch(fail);
  };
}
