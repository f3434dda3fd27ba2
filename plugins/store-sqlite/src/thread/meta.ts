import type { Statements } from './statements.ts';

/** Look-ups of the relay's own values. */
export function metaReads(statements: Statements) {
  return {
    'meta.get': (name: string): string | null =>
      (statements.get('SELECT value FROM meta WHERE name = ?', name)?.value as string | undefined) ?? null,
  };
}

/** Changes of the relay's own values. */
export function metaWrites(statements: Statements) {
  return {
    'meta.compareAndSet': (name: string, expected: string | null, value: string): boolean =>
      expected === null
        ? statements.run('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING', name, value) === 1
        : statements.run('UPDATE meta SET value = ? WHERE name = ? AND value = ?', value, name, expected) === 1,
  };
}
