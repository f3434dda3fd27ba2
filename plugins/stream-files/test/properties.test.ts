import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planCopy, readPlace } from '../src/copy/place.ts';
import { receiveFiles } from '../src/receive/receive-files.ts';
import { openTarget } from '../src/receive/target.ts';
import { splitZeros } from '../src/send/read-file.ts';
import { sendFiles } from '../src/send/send-files.ts';
import { openSource } from '../src/send/source.ts';
import { checkName, joinPath, partialName, partialStem, shownPath, stemOf } from '../src/tree/names.ts';
import { FrameWriter } from '../src/wire/frame-writer.ts';
import { decodeLength, encodeBegin, encodeHead, encodeLength, Frame, FrameDecoder } from '../src/wire/frames.ts';
import { allIn, makePlaces, passThroughs } from './peer.ts';

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
/** Names as somebody would write who looks for a way out. */
const nastyName = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '',
    '/',
    '//',
    '../x',
    'x/..',
    './x',
    '/etc',
    '\0',
    'x\0',
    '..\0',
    'a',
    'b',
    'link',
    '~',
    '%2e%2e',
    '..\\x',
    ' ..',
  ),
  fc.string({ maxLength: 12 }),
  bytes(300).map((name) => name.toString('latin1')),
);

const accepts = (name: Buffer) => {
  try {
    checkName(name);
    return true;
  } catch {
    return false;
  }
};

describe('names', () => {
  it('are accepted only when they are one step down, whatever their bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes(300),
          nastyName.map((name) => Buffer.from(name, 'latin1')),
        ),
        (name) => {
          const text = name.toString('latin1');
          const path = posix.normalize(`/root/${text}`);
          const isStep =
            path === `/root/${text}` &&
            posix.basename(path) === text &&
            posix.dirname(path) === '/root' &&
            !text.includes('\0') &&
            text !== '';
          const isLong = name.length > 255;
          const isPartial = text.startsWith('.towline-part-');
          expect(accepts(name)).toBe(isStep && !isLong && !isPartial);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('of partial files are short, safe and of one source each', () => {
    fc.assert(
      fc.property(bytes(255), fc.nat(), fc.nat(), (name, size, mtime) => {
        const stem = partialStem(name, { size, mtime });
        expect(stem).toMatch(/^\.towline-part-[0-9a-f]{32}$/);
        expect(partialStem(name, { size: size + 1, mtime })).not.toBe(stem);
        expect(partialStem(name, { size, mtime: mtime + 1 })).not.toBe(stem);
        expect(partialName(stem)).not.toEqual(partialName(stem));
        expect(stemOf(partialName(stem))).toBe(stem);
      }),
    );
  });

  it('are shown without anything that a terminal obeys', () => {
    fc.assert(
      fc.property(bytes(64), (name) => {
        expect(shownPath(joinPath(Buffer.from('dir'), name))).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]*$/u);
      }),
    );
  });
});

describe('words of a copy', () => {
  it('beginning with ./ or / are paths here, and a name before a colon is a device', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.stringMatching(/^[\p{L}\p{N}][\w.-]{0,10}$/u), (path, name) => {
        expect(readPlace(`./${path}`)).toEqual({ device: null, path: `./${path}` });
        expect(readPlace(`/${path}`)).toEqual({ device: null, path: `/${path}` });
        if (name !== 'device') expect(readPlace(`${name}:${path}`)).toEqual({ device: name, path });
        expect(readPlace(`device:${name}:${path}`)).toEqual({ device: name, path });
        expect(planCopy([`/${path}`, `device:${name}:${path}`])).toMatchObject({ direction: 'to device', device: name });
      }),
    );
  });
});

describe('frames', () => {
  it('are the same however the bytes are cut', () => {
    const frame = fc.oneof(
      bytes(200)
        .filter((content) => content.length > 0)
        .map((payload) => ({ type: Frame.data as number, payload })),
      fc.json().map((json) => ({ type: Frame.entry as number, payload: Buffer.from(json.padEnd(2)) })),
      fc.constant({ type: Frame.listed as number, payload: Buffer.alloc(0) }),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 10 }), fc.array(fc.nat({ max: 50 })), (frames, cuts) => {
        const stream = Buffer.concat(frames.flatMap(({ type, payload }) => [encodeHead(type, payload.length), payload]));
        const decoder = new FrameDecoder();
        const heard: { type: number; payload: Buffer }[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          for (const event of decoder.push(stream.subarray(at, at + cut))) {
            const last = heard.at(-1);
            if (event.type === Frame.data && last?.type === Frame.data) last.payload = Buffer.concat([last.payload, event.payload]);
            else heard.push({ ...event });
          }
          at += cut;
        }
        const text = (list: { type: number; payload: Buffer }[]) =>
          list.reduce((all, { type, payload }) => all + (type === Frame.data ? '' : ` ${type}:`) + payload.toString('hex'), '');
        expect(text(heard)).toBe(text(frames));
        expect(decoder.isBetweenFrames).toBe(true);
      }),
    );
  });

  it('tell positions and lengths far beyond 32 bits exactly', () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), fc.maxSafeNat(), (id, position) => {
        expect(decodeLength(encodeBegin(id, position), 4)).toBe(position);
        expect(encodeBegin(id, position).readUInt32BE(0)).toBe(id);
        expect(decodeLength(encodeLength(position), 0)).toBe(position);
      }),
    );
  });

  it('of any bytes are decoded or refused, and nothing else', () => {
    fc.assert(
      fc.property(bytes(2_000), (noise) => {
        const decoder = new FrameDecoder();
        try {
          for (const { payload } of decoder.push(noise)) expect(payload.length).toBeLessThanOrEqual(noise.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'protocol_error' });
        }
      }),
    );
  });
});

it('runs of zeros and of the rest make up the piece they were cut from', () => {
  const run = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 90_000 }));
  fc.assert(
    fc.property(fc.array(run, { maxLength: 5 }), (runs) => {
      const piece = Buffer.concat(runs.map(([isZero, length]) => Buffer.alloc(length, isZero ? 0 : 7)));
      const parts = [...splitZeros(piece)];
      expect(Buffer.concat(parts.map(({ bytes: part }) => part)).equals(piece)).toBe(true);
      for (const { zeros, bytes: part } of parts) if (zeros) expect(part.every((byte) => byte === 0)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

/** Frames of a sender who follows no rule but those that would cut it off at once. */
const hostileTree = fc.array(
  fc.record({
    kind: fc.constantFrom('file', 'folder', 'link'),
    parent: fc.nat({ max: 12 }),
    name: nastyName,
    target: fc.constantFrom('..', '../outside', '/tmp', '.', 'a'),
    leave: fc.boolean(),
  }),
  { minLength: 1, maxLength: 14 },
);

describe('a receiver', () => {
  it('touches nothing outside of its target, whatever is announced to it', async () => {
    const { dir, inside, outside } = makePlaces();
    writeFileSync(join(outside, 'kept'), 'kept');
    symlinkSync(outside, join(inside, 'link'));
    await fc.assert(
      fc.asyncProperty(hostileTree, async (tree) => {
        const { near, far } = passThroughs();
        const received = receiveFiles({ ...near, target: await openTarget(inside, false), observer: {} }).catch(() => {});
        const writer = new FrameWriter(far.output);
        far.input.resume();
        for (const [at, { kind, parent, name, target, leave }] of tree.entries()) {
          const place = { id: at + 1, parent: at === 0 ? 0 : parent, name: name.slice(0, 255), mtime: 0, kind };
          if (kind === 'link') writer.sendJson(Frame.entry, { ...place, target });
          else if (kind === 'folder') writer.sendJson(Frame.entry, { ...place, mode: 0o700 });
          else writer.sendJson(Frame.entry, { ...place, mode: 0o600, size: 0, sparse: false });
          if (leave) writer.sendJson(Frame.omitted, { parent: 0, name: 'x', code: 'EACCES' });
        }
        await writer.end();
        await received;
        expect(allIn(outside)).toEqual(['kept']);
        expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('kept');
        expect(allIn(dir).filter((path) => !/^(inside|outside)(\/|$)/.test(path))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it('gets from a sender any tree as it is: names of any bytes, links, empty files and folders', async () => {
    const { dir } = makePlaces();
    const name = bytes(30).filter((each) => accepts(each) && !each.includes(0));
    const node = fc.record({ name, kind: fc.constantFrom('file', 'folder', 'link'), content: bytes(50), below: fc.nat({ max: 5 }) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(node, { maxLength: 12 }), async (nodes) => {
        round += 1;
        const [source, copy] = [join(dir, `s${round}`), join(dir, `c${round}`)];
        const made: Buffer[] = [Buffer.from(source)];
        mkdirSync(source);
        for (const { name: each, kind, content, below } of nodes) {
          const path = joinPath(made[below % made.length]!, each);
          try {
            if (kind === 'folder') mkdirSync(path);
            if (kind === 'folder') made.push(path);
            else if (kind === 'file') writeFileSync(path, content, { flag: 'wx' });
            else symlinkSync('to', path);
          } catch {
            // The name was there already.
          }
        }
        const { near, far } = passThroughs();
        const received = receiveFiles({ ...near, target: await openTarget(copy, true), observer: {} });
        await sendFiles({ ...far, source: await openSource(source, Buffer.from('x')), count: true, observer: {} });
        far.output.end();
        await received;
        expect(allIn(copy)).toEqual(allIn(source));
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
