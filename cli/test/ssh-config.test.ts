import { chmod, link, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withInclude, withoutInclude } from '../src/ssh/include-line.ts';
import { makeUser, type RunExtras, type User } from './run-cli.ts';

let user: User;
let dir: string;
let config: string;
let included: string;
beforeAll(async () => {
  user = await makeUser();
});
afterAll(() => user[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'towline-ssh config-'));
  config = join(dir, 'config');
  included = join(dir, 'towline.conf');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const run = async (words: readonly string[], extra?: RunExtras) => {
  const { code, stdout, stderr } = await user.run([...words, '--file', config, '--json'], extra);
  return { code, stderr, answer: stdout === '' ? null : (JSON.parse(stdout) as Record<string, unknown>) };
};
const enable = (...options: string[]) => run([...options, 'ssh', 'enable']);
const disable = () => run(['ssh', 'disable']);
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const write = (content: string | Buffer, mode = 0o600) => writeFile(config, content, { mode }).then(() => chmod(config, mode));

describe('towline ssh enable', () => {
  it('makes folder, config and its own file where there are none, for their owner alone', async () => {
    config = join(dir, 'new', 'config');
    const { code, answer } = await enable();
    expect(code).toBe(0);
    expect(answer).toMatchObject({ enabled: true, changed: true, config, included: join(dir, 'new', 'towline.conf') });
    expect(await Promise.all([dirname(config), config, join(dir, 'new', 'towline.conf')].map(modeOf))).toEqual([0o700, 0o600, 0o600]);
    expect(await readFile(config, 'utf8')).toMatch(new RegExp(`^# .*\nInclude "${join(dir, 'new', 'towline.conf')}"\n$`));
  });

  it('names node and itself by absolute paths, and carries profile, relay and transport', async () => {
    const { answer } = await enable('--profile', 'work', '--relay', 'https://relay.example.com:8085/', '--transport', 'auto');
    const program = join(import.meta.dirname, '..', 'bin', 'towline.js');
    const options = ['--profile', 'work', '--relay', 'https://relay.example.com:8085', '--transport', 'auto'];
    expect(answer?.command).toEqual([process.execPath, program, ...options, 'ssh', 'proxy', '--']);
    expect(await readFile(included, 'utf8')).toContain(`${options.join(' ')} ssh proxy -- '%h' '%p'\n`);
  });

  it('changes nothing when it is done again, and only its own file when the command has changed', async () => {
    await write('Host *\n');
    await enable();
    const before = await stat(config);
    expect((await enable()).answer).toMatchObject({ changed: false });
    expect((await enable('--profile', 'work')).answer).toMatchObject({ changed: true });
    expect(await stat(config)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(await readFile(included, 'utf8')).toContain('--profile work');
  });

  it('moves its line to the top when it was moved below a Host, where it would hold for that one alone', async () => {
    await enable();
    const ours = await readFile(config, 'utf8');
    await write(`Host other\n  User me\n${ours}  Port 3\n`);
    expect((await enable()).answer).toMatchObject({ changed: true });
    expect(await readFile(config, 'utf8')).toBe(`${ours}Host other\n  User me\n  Port 3\n`);
  });

  it('keeps the mode of the config, and a symbolic link in its place', async () => {
    const real = join(dir, 'dotfiles', 'ssh config');
    await mkdir(dirname(real));
    await writeFile(real, 'User me\n');
    await chmod(real, 0o644);
    await symlink(real, config);
    expect((await enable()).code).toBe(0);
    expect((await lstat(config)).isSymbolicLink()).toBe(true);
    expect(await modeOf(real)).toBe(0o644);
    expect(await readFile(real, 'utf8')).toMatch(/^# .*\nInclude .*\nUser me\n$/);
    expect(await readdir(dirname(real))).toEqual(['ssh config']);
    await disable();
    expect(await readFile(real, 'utf8')).toBe('User me\n');
  });

  it('says which variables it did not write down', async () => {
    const { stderr } = await enable();
    expect(stderr).toContain('TOWLINE_CONFIG_DIR, TOWLINE_CA_FILE: set here, and not written down');
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a config that others can write to', () => write('', 0o620), /written by others \(mode 0620\)/],
    ['a config with zero bytes', () => write('U\0s\0e\0r\0'), /no plain text/],
    ['a config with a byte order mark', () => write('\ufeffUser me\n'), /no plain text/],
    ['a config that has two names', () => write('').then(() => link(config, join(dir, 'other'))), /several names/],
    ['a folder in its place', () => mkdir(config), /no regular file/],
    ['a link that leads nowhere', () => symlink(join(dir, 'nothing'), config), /leads nowhere/],
    ['a folder that others can write to', () => chmod(dir, 0o770), /Others can write to/],
    ['a file of somebody else by the name of ours', () => writeFile(included, 'Host *\n', { mode: 0o600 }), /not written by Towline/],
  ])('refuses %s, and leaves everything as it is', async (_what, prepare, reason) => {
    await prepare();
    const before = (await readdir(dir)).sort();
    const content = await readFile(config).catch(() => null);
    const { code, stderr } = await enable();
    expect(code).toBe(1);
    expect((JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as { error: { message: string } }).error.message).toMatch(reason);
    expect((await readdir(dir)).sort()).toEqual(before);
    expect(await readFile(config).catch(() => null)).toEqual(content);
  });

  it.runIf(process.platform === 'linux')(
    'says which line is needed where it cannot write the config, and takes it as its own then',
    async () => {
      await symlink('/proc/version', config);
      const { code, stderr } = await enable();
      expect(code).toBe(1);
      const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as { error: { code: string; hint: string } };
      expect(error).toMatchObject({ code: 'data_unwritable', hint: expect.stringContaining(`Include "${included}"`) });
      await rm(config);
      await write(`Include "${included}"\n`);
      expect((await enable()).answer).toMatchObject({ changed: false });
    },
  );

  it.each([
    ['a folder that OpenSSH could not name', () => join(dir, 'a*b', 'config'), 'odd characters'],
    ['the file that is ours', () => included, 'keeps its own part'],
  ])('refuses %s as a wrong use', async (_what, path, reason) => {
    config = path();
    const { code, stderr } = await enable();
    expect(code).toBe(2);
    expect(stderr).toContain(reason);
  });

  it('refuses a profile of no valid name', async () => {
    expect(await enable('--profile', '../x')).toMatchObject({ code: 2, answer: null });
    expect(await readdir(dir)).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)('keeps the group of the config, and refuses that of another user (needs root)', async () => {
    const { chown } = await import('node:fs/promises');
    await write('User me\n');
    await chown(config, 0, 1234);
    expect((await enable()).code).toBe(0);
    expect(await stat(config)).toMatchObject({ uid: 0, gid: 1234 });
    await chown(config, 1234, 1234);
    expect((await enable()).stderr).toContain('belongs to another user');
  });
});

describe('towline ssh disable', () => {
  it.each([
    ['settings for all hosts, then for some', 'User me\nHost a b\n\tPort 3\nMatch all\n  Compression yes\n'],
    ['no end of its last line', 'Host *\n  User me'],
    ['line ends of Windows', 'Host *\r\n  User me\r\n'],
    ['bytes that are no UTF-8', Buffer.from('# caf\xe9 \xff\nUser me\n', 'latin1')],
    ['nothing in it', ''],
    ['blank lines alone', '\n\n'],
  ])('leaves a config with %s byte for byte as it was before enable', async (_what, content) => {
    await write(content);
    await enable();
    expect((await readFile(config)).length).toBeGreaterThan(content.length);
    expect((await disable()).answer).toMatchObject({ enabled: false, changed: true });
    expect(await readFile(config)).toEqual(Buffer.from(content));
    expect(await readdir(dir)).toEqual(['config']);
  });

  it('says that there is nothing to disable', async () => {
    await write('User me\n');
    expect((await disable()).answer).toMatchObject({ enabled: false, changed: false });
    expect(await readFile(config, 'utf8')).toBe('User me\n');
  });

  it('leaves a file of somebody else by the name of ours', async () => {
    await writeFile(included, 'Host *\n', { mode: 0o600 });
    expect((await disable()).code).toBe(1);
    expect(await readFile(included, 'utf8')).toBe('Host *\n');
  });
});

describe('the line that includes our file', () => {
  const lines = fc.constantFrom(
    'Host a',
    'Match all',
    '  User me',
    '',
    'Include other.conf',
    '# towline.conf',
    'Include /home/anna/.ssh/towline.confx',
    'HOST=b',
    '\r',
  );
  const texts = fc.oneof(
    fc.array(lines, { maxLength: 8 }).map((each) => each.join('\n')),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );

  it('goes in and out of any text without a trace, and once', () => {
    fc.assert(
      fc.property(texts, fc.constantFrom('"/home/anna/.ssh/towline.conf"', '"/home/an ünï/towline.conf"'), (text, word) => {
        const within = withInclude(text, word);
        expect(withInclude(within, word)).toBe(within);
        expect(withoutInclude(within, word)).toBe(text);
        expect(Buffer.from(within.split('\n')[1]!, 'latin1').toString()).toBe(`Include ${word}`);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['without its remark', 'Include /h/towline.conf\nHost a\n', true],
    ['in another case and form', 'User me\n  INCLUDE = "/h/towline.conf"\r\nHost a\n', true],
    ['behind a Host', 'Host a\nInclude "/h/towline.conf"\n', false],
    ['behind a Match', 'match all\nInclude /h/towline.conf\n', false],
    ['in a remark', '# Include "/h/towline.conf"\n', false],
  ])('is seen %s', (_where, text, inForce) => {
    expect(withInclude(text, '"/h/towline.conf"') === text).toBe(inForce);
  });
});
