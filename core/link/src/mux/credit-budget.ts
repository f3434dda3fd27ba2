/**
 * Bytes that receive windows may have grown by together. Each link has one; a process may share a second
 * one among all its links, so that memory stays bounded however many links there are.
 */
export class CreditBudget {
  readonly #parent: CreditBudget | undefined;
  #left: number;

  constructor(limitBytes: number, parent?: CreditBudget) {
    this.#left = limitBytes;
    this.#parent = parent;
  }

  /** Bytes that can still be taken here, not counting the parent. */
  get leftBytes(): number {
    return this.#left;
  }

  /** Takes bytes here and from the parent, or nothing at all. */
  take(bytes: number): boolean {
    if (bytes > this.#left || (this.#parent && !this.#parent.take(bytes))) return false;
    this.#left -= bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#left += bytes;
    this.#parent?.give(bytes);
  }
}
