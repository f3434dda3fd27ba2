import type { Store } from '@towline/contract';

/** A store under test, empty when it is made. */
export interface StoreHandle {
  /** Started and ready. */
  readonly store: Store;
  /** Closes the store and opens the same data again. The handle's own `store` is not used after that. */
  reopen(): Promise<Store>;
  /** A second store on the same data, open at the same time, as in another process. Left out where the store cannot do that. */
  second?(): Promise<Store>;
  /** Closes whatever is open and deletes the data. */
  dispose(): Promise<void>;
}

/** Makes an empty store. Called once for each case. */
export type MakeStore = () => Promise<StoreHandle>;

/** One promise of the store contract, as a check that fails by an error of node:assert. */
export interface StoreCase {
  /** The promise as a sentence. */
  readonly name: string;
  /** Only for stores that offer {@link StoreHandle.second}. */
  readonly needsSecond?: true;
  run(handle: StoreHandle): Promise<void>;
}
