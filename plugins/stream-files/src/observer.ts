/** What became of one entry of a tree, for whoever shows it or writes it down. */
export interface EntryOutcome {
  /** Path below the root of the copy; empty: the root itself. */
  readonly path: Buffer;
  readonly kind: 'file' | 'folder' | 'link';
  /** Bytes of the file. */
  readonly size: number;
  readonly status: 'done' | 'same' | 'failed';
  readonly code?: string;
  /** Of a sync: what was done, or would be. */
  readonly change?: 'new' | 'content' | 'attributes';
}

/** Something that a sync removed or, with a code, could not remove. */
export interface Removal {
  readonly path: Buffer;
  readonly kind: 'file' | 'folder' | 'link';
  readonly code?: string;
}

/** Is told what a transfer does, on either side. */
export interface TransferObserver {
  /** How much it will be, when it was counted. */
  onTotal?(total: { readonly files: number; readonly bytes: number }): void;
  /** So many bytes of content were sent, received, or found to be the same; below 0 when some turn out not to be. */
  onBytes?(count: number, kind: 'moved' | 'same'): void;
  /** An entry is settled. */
  onOutcome?(outcome: EntryOutcome): void;
  /** Something was removed because the source lacks it, or would be. */
  onRemoved?(removal: Removal): void;
  /** Something of the source was left out. */
  onOmitted?(path: Buffer, code: string): void;
  /** Name of the root of the copy in the folder that holds it; empty: that folder itself. At the receiver only. */
  onRoot?(name: Buffer): void;
  /** Which folder of the receiver became like the source of a sync. At the sender only. */
  onTargetRoot?(root: string): void;
  /** Whether the copy goes into the folder that was named. */
  onReady?(into: boolean): void;
}
