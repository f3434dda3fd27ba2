/** How a check came out. `warning`: it works, though not as well as it could. `skipped`: it was not made. */
export type Status = 'ok' | 'warning' | 'failed' | 'skipped';

/** What one check found: a sentence, and what to do about it where something is to be done. */
export interface Finding {
  readonly status: Status;
  readonly message: string;
  readonly hint: string | null;
}

/** It works. */
export function ok(message: string): Finding {
  return { status: 'ok', message, hint: null };
}

/** It works, and could be better. */
export function warning(message: string, hint: string): Finding {
  return { status: 'warning', message, hint };
}

/** It does not work. */
export function failed(message: string, hint: string): Finding {
  return { status: 'failed', message, hint };
}

/** It was not checked. */
export function skipped(message: string, hint: string | null = null): Finding {
  return { status: 'skipped', message, hint };
}
