import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLadderFile } from '../src/ladder-file.ts';
import { temporaryFolder } from './agent-process.ts';

let dir: string;
const lines: string[] = [];
const log = { debug() {}, info() {}, warn: (message: string) => void lines.push(message), error() {} };
beforeEach(async () => {
  dir = await temporaryFolder();
  lines.length = 0;
});
afterEach(() => rm(dir, { recursive: true }));

const relay = 'https://relay.example.com:8085';
const way = { transport: 'tls', reasons: { quic: 'the relay did not answer on UDP port 8085.' } };
const path = () => join(dir, 'transports.json');

describe('the memory of transports', () => {
  it('lasts from one runtime to the next, for each relay, in a file of the owner’s alone', async () => {
    await createLadderFile(dir, log).remember(relay, way);
    await createLadderFile(dir, log).remember('https://other.example.com', { transport: 'quic', reasons: {} });
    expect(await createLadderFile(dir, log).recall(relay)).toEqual(way);
    expect(await createLadderFile(dir, log).recall('https://unknown.example.com')).toBeUndefined();
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(['transports.json']);
  });

  it('holds few relays, the latest', async () => {
    const memory = createLadderFile(dir, log);
    for (let at = 0; at < 20; at += 1) await memory.remember(`https://relay-${at}.example.com`, way);
    expect(Object.keys(JSON.parse(await readFile(path(), 'utf8')) as object)).toHaveLength(8);
    expect(await memory.recall('https://relay-19.example.com')).toEqual(way);
    expect(await memory.recall('https://relay-0.example.com')).toBeUndefined();
  });

  it.each([
    ['empty', ''],
    ['cut', `{"${relay}":{"transp`],
    ['of another form', '[1,2,3]'],
    ['with a way of another form', JSON.stringify({ [relay]: { transport: 7, reasons: [] } })],
    ['with a name without end', JSON.stringify({ [relay]: { transport: 'x'.repeat(1_000), reasons: {} } })],
    ['larger than any', `{"${relay}":${JSON.stringify(way)},"x":"${'y'.repeat(100_000)}"}`],
    ['no text', Buffer.from([0xff, 0xfe, 0, 1])],
  ])('that is damaged (%s) counts as none and is mended', async (_how, content) => {
    await writeFile(path(), content);
    const memory = createLadderFile(dir, log);
    expect(await memory.recall(relay)).toBeUndefined();
    await memory.remember(relay, way);
    expect(await createLadderFile(dir, log).recall(relay)).toEqual(way);
  });

  it('keeps what is sound beside what is not', async () => {
    await writeFile(path(), JSON.stringify({ 'https://bad.example.com': 3, [relay]: way }));
    expect(await createLadderFile(dir, log).recall(relay)).toEqual(way);
  });

  it('that cannot be written is told in the log and costs nothing else', async () => {
    await mkdir(path());
    const memory = createLadderFile(dir, log);
    await memory.remember(relay, way);
    expect(await memory.recall(relay)).toBeUndefined();
    expect(lines).toEqual(['the transport that works could not be remembered']);
  });
});
