import { PassThrough, Writable } from 'node:stream';
import { TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EscapeSequence } from '../src/client/escape-sequence.ts';
import { exitCodeOf, exitCodeOfSignal } from '../src/client/exit-code.ts';
import { errorOfResult, reportFailure } from '../src/client/report-failure.ts';
import { UserInput } from '../src/client/user-input.ts';
import { until } from './running.ts';

/** What a session would send of some keys, given in pieces. */
function typed(...pieces: string[]): { sent: string; left: boolean } {
  const wayOut = new EscapeSequence();
  let sent = '';
  for (const piece of pieces) {
    const { bytes, left } = wayOut.take(Buffer.from(piece, 'latin1'));
    sent += bytes.toString('latin1');
    if (left) return { sent, left };
  }
  return { sent, left: false };
}

describe('the way out of a shell', () => {
  it.each([
    ['~.', '', true],
    ['ls\r~.', 'ls\r', true],
    ['ls\n~.rest', 'ls\n', true],
    ['a~.', 'a~.', false],
    ['~~.', '~.', false],
    ['~~~.', '~~.', false],
    ['~x\r~.', '~x\r', true],
    ['~\r~.', '~\r', true],
    ['~', '', false],
  ])('turns the keys %j into %j, left: %j', (keys, sent, left) => {
    expect(typed(keys)).toEqual({ sent, left });
  });

  it('does not depend on how the keys arrive', () => {
    const keys = fc.string({ unit: fc.constantFrom('~', '.', '\r', '\n', 'a', '\x03', '\xff'), maxLength: 40 });
    fc.assert(
      fc.property(keys, fc.array(fc.nat(40), { maxLength: 6 }), (text, cuts) => {
        const edges = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
        const pieces = edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
        expect(typed(...pieces)).toEqual(typed(text));
      }),
    );
  });

  it('loses nothing of what has no tilde', () => {
    fc.assert(
      fc.property(
        fc.uint8Array().filter((bytes) => !bytes.includes(0x7e)),
        (bytes) => {
          expect(new EscapeSequence().take(bytes)).toEqual({ bytes: Buffer.from(bytes), left: false });
        },
      ),
    );
  });
});

describe('the input of a user', () => {
  it('goes at the pace of the session, and passes its end on', async () => {
    const source = new PassThrough({ highWaterMark: 65_536 });
    const got: Buffer[] = [];
    const releases: (() => void)[] = [];
    const device = new Writable({
      highWaterMark: 65_536,
      write: (chunk: Buffer, _, done) => releases.push(() => done(void got.push(chunk) as never)),
    });
    new UserInput(source, device);
    const all = Buffer.alloc(1_048_576, 'xyz');
    for (let at = 0; at < all.length; at += 65_536) source.write(all.subarray(at, at + 65_536));
    source.end();
    await until(() => source.isPaused(), 'a session that takes nothing stops the source');
    expect(device.writableLength).toBeLessThanOrEqual(2 * 65_536);
    while (!device.writableFinished) {
      releases.shift()?.();
      await new Promise((next) => setImmediate(next));
    }
    expect(Buffer.concat(got).equals(all)).toBe(true);
  });

  it('reads nothing more once it is stopped', async () => {
    const source = new PassThrough();
    const device = new PassThrough();
    const input = new UserInput(source, device);
    input.stop();
    input.stop();
    source.write('for somebody else');
    expect(source.isPaused()).toBe(true);
    expect(device.read()).toBeNull();
  });
});

describe('the end of a session', () => {
  it('becomes the exit code that a shell would give', () => {
    expect(exitCodeOf({ reason: 'exited', exit_code: 0 })).toBe(0);
    expect(exitCodeOf({ reason: 'exited', exit_code: 255 })).toBe(255);
    expect(exitCodeOf({ reason: 'signalled', signal: 'SIGKILL' })).toBe(137);
    expect(exitCodeOf({ reason: 'signalled', signal: 'SIG35' })).toBe(163);
    expect(exitCodeOfSignal('SIGNONSENSE')).toBe(255);
    expect(exitCodeOf({ reason: 'limit' })).toBeNull();
  });

  it('is told in words that no device can move the cursor with', () => {
    const said: string[] = [];
    const stderr = new Writable({ write: (chunk: Buffer, _, done) => done(void said.push(chunk.toString()) as never) });
    const error = errorOfResult({ reason: 'failed', message: 'no\x1b[2Jshell\u202e' });
    expect(reportFailure(error, { stderr, json: false })).toBe(255);
    expect(reportFailure(error, { stderr, json: true })).toBe(255);
    expect(said[0]).toMatch(/^towline: no\\u\{1b\}\[2Jshell\\u\{202e\}\n {2}\S/);
    expect(said[1]).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(said[1]!)).toMatchObject({ error: { code: 'spawn_failed' } });
    expect(reportFailure(new TowlineError('cancelled'), { stderr, json: false })).toBe(130);
  });
});
