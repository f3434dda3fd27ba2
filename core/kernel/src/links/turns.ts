import { TowlineError } from '@towline/contract';

/** Weight that may wait: more than twice the journal entries that a device sends before the first of them is acknowledged. */
const MAX_WAITING = 1_100;

/**
 * Does work, which must not reject, when what was handed over before is done. `weight` is how much of the room it takes.
 * @throws TowlineError `link_flooded` when there is no room.
 */
export type Turns = (work: () => Promise<void>, weight: number) => void;

/** Makes the turns in which the messages of one peer are worked on, in order and bounded. */
export function createTurns(): Turns {
  let turn = Promise.resolve();
  let waiting = 0;
  return (work, weight) => {
    if (waiting + weight > MAX_WAITING) throw new TowlineError('link_flooded', 'The peer sends more than can be worked on.');
    waiting += weight;
    turn = turn.then(work).finally(() => {
      waiting -= weight;
    });
  };
}
