/** Runs work of which each piece begins when the one before is over, however that ended. */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Makes a row to stand in. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
}
