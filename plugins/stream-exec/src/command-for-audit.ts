/** Bytes of a command that its audit record keeps: enough for any command a person types. */
const MAX_COMMAND_BYTES = 4_096;

/** The words of a command as the audit keeps them. A command that is too long is cut, and the last word says so. */
export function commandForAudit(argv: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let room = MAX_COMMAND_BYTES;
  for (const [index, word] of argv.entries()) {
    const bytes = Buffer.from(word);
    if (bytes.length + 1 > room) {
      const part = cutUtf8(bytes, room);
      const cut = Buffer.byteLength(argv.slice(index).join(' ')) - Buffer.byteLength(part);
      return [...kept, `${part}…[${cut} bytes cut]`];
    }
    kept.push(word);
    room -= bytes.length + 1;
  }
  return kept;
}

/** The longest whole characters within `limit` bytes. */
function cutUtf8(bytes: Buffer, limit: number): string {
  let end = Math.min(limit, bytes.length);
  while (end > 0 && end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
