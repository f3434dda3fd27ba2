import type { AuditRecord } from '@towline/contract';

// What JSON leaves alone and a terminal obeys: DEL, C1 controls, line separators, bidirectional overrides.
const TERMINAL_CODES = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * A record as one line. JSON escapes newlines and other control characters in texts, so that no field can begin a line
 * of its own; what it leaves and a terminal would obey is escaped as well.
 */
export function recordLine(record: AuditRecord): Buffer {
  const text = JSON.stringify(record).replace(TERMINAL_CODES, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Buffer.from(`${text}\n`, 'utf8');
}
