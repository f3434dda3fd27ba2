import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatFault } from '../src/faults/fault.ts';
import { MAX_CONFIG_BYTES } from '../src/reading/config-file.ts';
import { toPlain } from '../src/reading/config-node.ts';
import { readYamlDocument } from '../src/reading/yaml-document.ts';
import { checkRelayConfig } from '../src/relay/index.ts';
import { configOf, faultsOf } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const faultsIn = (text: string) => readYamlDocument(text, 'f.yaml').faults.map(formatFault);
/** Time that any text may take, milliseconds; a machine under load is slow. */
const SOON_MS = 8_000;

describe('hostile YAML', () => {
  test('that multiplies itself by aliases is refused before it grows', () => {
    const laughs = Array.from({ length: 12 }, (_, at) => `l${at + 1}: &l${at + 1} [${Array(9).fill(`*l${at}`).join(', ')}]`);
    const from = performance.now();
    const faults = faultsIn(['l0: &l0 [ha, ha]', ...laughs].join('\n'));
    expect(faults).toEqual([expect.stringContaining('expected at most 100 aliases, found more')]);
    expect(performance.now() - from).toBeLessThan(SOON_MS);
  });

  test('that repeats one long list by few aliases is refused by the number of values', () => {
    const list = `a: &a [${'x, '.repeat(5_000)}]`;
    const faults = faultsIn([list, ...Array.from({ length: 50 }, (_, at) => `b${at}: *a`)].join('\n'));
    expect(faults).toEqual([expect.stringContaining('expected at most 50000 values, found more')]);
  });

  test('that contains itself is refused', () => {
    expect(faultsIn('server: &s\n  tls: *s\n')).toEqual([
      'f.yaml:2: server.tls: expected an alias of a value beside it, found one of a value that it is part of',
    ]);
  });

  test('with an alias of nothing names its line', () => {
    expect(faultsIn('a: 1\nb: *nowhere\n')).toEqual(['f.yaml:2: b: expected an alias of an anchor above, found one of none']);
  });

  test.each([
    ['brackets', '['.repeat(200_000)],
    ['braces', '{a: '.repeat(60_000)],
    ['dashes', '- '.repeat(120_000)],
    ['question marks', '? '.repeat(120_000)],
    ['indentation', Array.from({ length: 400 }, (_, at) => `${' '.repeat(at)}a:`).join('\n')],
    ['closed brackets', `a: ${'['.repeat(45)}${']'.repeat(45)}`],
  ])('that nests %s without end is refused, and soon', (_, text) => {
    const from = performance.now();
    expect(faultsIn(text).join()).toMatch(/nested less deeply|at most 32 levels/);
    expect(performance.now() - from).toBeLessThan(SOON_MS);
  });

  test.each([
    ['keys', Array.from({ length: 20_000 }, (_, at) => `k${at}: 1`).join('\n')],
    ['keys that occur twice', 'k: 1\n'.repeat(40_000)],
    ['tags', '! '.repeat(100_000)],
    ['commas', `[${','.repeat(100_000)}`],
  ])('with too many %s ends in few faults, and soon', (_, text) => {
    const from = performance.now();
    const faults = faultsOf(scratch(), text);
    expect(faults.length).toBeGreaterThan(0);
    expect(performance.now() - from).toBeLessThan(SOON_MS);
  });

  test('with a tab as indentation says so and names the line', () => {
    expect(faultsIn('server:\n\tport: 80\n')).toEqual(['f.yaml:2: expected spaces for indentation, found a tab']);
  });

  test('with a key twice names both lines', () => {
    expect(faultsIn('server:\n  port: 1\n  host: x\n  port: 2\n')).toEqual([
      'f.yaml:4: server.port: expected each key once, found a second one, the first is in line 2',
    ]);
  });

  test.each([
    ['a second document', 'a: 1\n---\nb: 2\n', /:2: expected one document/],
    ['an older version', '%YAML 1.1\n---\na: yes\n', /%YAML 1.2/],
    ['a foreign tag', 'a: !secret hunter2\n', /:1: expected no tag/],
    ['binary data', 'a: !!binary aGVsbG8=\n', /:1: a: expected a text/],
    ['an unclosed quote', 'a: "hunter2\n', /closing quote/],
    ['an unclosed bracket', 'a: [1, 2\nb: 3\n', /f.yaml:\d/],
    ['a text on the wrong place', 'a: b: c\n', /:1: .*quotes/],
    ['a list as root', '- a\n', /a mapping of keys to values, found a list/],
    ['a text as root', 'hunter2\n', /a mapping of keys to values, found a single value/],
    ['a list as key', '? [a, b]\n: c\n', /a text as key/],
    ['a reserved key', '__proto__: { host: x }\n', /a reserved name/],
    ['an infinite number', 'port: .inf\n', /a finite number/],
  ])('with %s is refused without showing values', (_, text, expected) => {
    const faults = faultsIn(text).join('\n');
    expect(faults).toMatch(expected);
    expect(faults).not.toContain('hunter2');
  });

  test.each([
    ['control characters in a key', 'a\u001b[31m: 1\n'],
    ['control characters in a value', 'log_level: "\\e[2J"\n'],
  ])('with %s is shown escaped', (_, text) => {
    expect(faultsOf(scratch(), text).join('')).not.toMatch(/\p{Cc}/u);
  });

  test('never throws, whatever the text, and what it yields is of bounded depth', () => {
    const piece = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '&x ',
      '*x',
      '"',
      "'",
      '|',
      '>',
      '#',
      '!t ',
      '? ',
      '%',
      ',',
      '\t',
      '---\n',
      '\r\n',
      '<<',
      '0',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(piece, { maxLength: 40 }).map((all) => all.join('')),
        ),
        (text) => {
          const read = readYamlDocument(text, 'f.yaml');
          expect(read.root.kind).toBe('map');
          JSON.stringify(toPlain(read.root));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('a configuration file', () => {
  test('with a byte order mark and CRLF is read, and its lines are counted right', () => {
    expect(configOf(scratch(), '\uFEFFserver:\r\n  port: 9000\r\nlog_level: debug\r\n')).toMatchObject({
      server: { port: 9000 },
      logLevel: 'debug',
    });
    expect(faultsOf(scratch(), '\uFEFFserver:\r\n  host: x\r\n  port: no\r\n')).toEqual([
      expect.stringMatching(/^towline.yaml:3: server.port: /),
    ]);
  });

  test.each(['', '\n\n', '# nothing yet\n', '---\n', '\uFEFF', '{}'])('that holds nothing (%j) gives the defaults', (text) => {
    expect(configOf(scratch(), text).server.port).toBe(8085);
  });

  test.each([
    ['larger than any configuration', `# ${'x'.repeat(MAX_CONFIG_BYTES)}`, /at most 262144 bytes, found one of 262146 bytes/],
    ['of random bytes', Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0xff, 0xfe, 0x80), /a text file in UTF-8, found other bytes/],
    ['in UTF-16', Buffer.from('\uFEFFserver: {}', 'utf16le'), /a text file in UTF-8/],
    ['with a zero byte', 'a: b\0c', /a text file in UTF-8/],
  ])('%s is refused', (_, content, expected) => expect(faultsOf(scratch(), content)).toEqual([expect.stringMatching(expected)]));

  test('that is missing, a folder, or a pipe is refused at once', () => {
    const dir = scratch();
    const check = (file: string) => checkRelayConfig({ file, cwd: dir, env: {} });
    expect(check('none.yaml')).toMatchObject({
      ok: false,
      faults: [{ file: 'none.yaml', key: '', expected: 'a readable file', found: 'none' }],
    });
    mkdirSync(join(dir, 'folder.yaml'));
    expect(check('folder.yaml')).toMatchObject({ faults: [{ found: 'a folder' }] });
    execFileSync('mkfifo', [join(dir, 'pipe.yaml')]);
    expect(check('pipe.yaml')).toMatchObject({ faults: [{ found: 'something else' }] });
  });

  test('that everybody can write is refused: it names the code that is loaded', () => {
    const dir = scratch();
    put(join(dir, 'open.yaml'), 'log_level: debug\n', 0o666);
    expect(checkRelayConfig({ file: 'open.yaml', cwd: dir, env: {} })).toMatchObject({ ok: false, faults: [{ found: 'mode 666' }] });
  });
});
