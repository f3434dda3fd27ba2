/** One value in DER (X.690 section 8.1): its tag, and the bytes in it. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
}

/** Tags of {@link DerValue} that certificates are read by. */
export const TAG = Object.freeze({ boolean: 0x01, integer: 0x02, octets: 0x04, objectId: 0x06, extensions: 0xa3 });

/** The values that stand behind one another in these bytes. @throws RangeError where they are none. */
export function readDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at);
    const first = bytes.readUInt8(at + 1);
    // From 0x80 on it is the number of bytes that the length has.
    const lengthBytes = first < 0x80 ? 0 : first - 0x80;
    const begin = at + 2 + lengthBytes;
    const end = begin + (first < 0x80 ? first : bytes.readUIntBE(at + 2, lengthBytes));
    if (end > bytes.length) throw new RangeError('a value is longer than what it stands in');
    values.push({ tag, content: bytes.subarray(begin, end) });
    at = end;
  }
  return values;
}

/** The first value with this tag. @throws RangeError where there is none. */
export function valueWith(tag: number, values: readonly DerValue[]): Buffer {
  const found = values.find((value) => value.tag === tag);
  if (found === undefined) throw new RangeError('a value is missing');
  return found.content;
}
