import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser, type User } from './run-cli.ts';

const version = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

describe('wrong and right use of the command line', () => {
  let user: User;
  beforeAll(async () => {
    user = await makeUser();
  });
  afterAll(() => user[Symbol.asyncDispose]());

  it('prints its version', async () => {
    expect(await user.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('prints help on stdout when asked, and on stderr with exit code 2 when nothing was said', async () => {
    const asked = await user.run(['--help']);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    for (const word of [
      'login',
      'devices list',
      'users list',
      'orgs create',
      'keys create',
      'audit',
      'runtime',
      'DEVICE exec',
      '--relay',
      'Exit codes',
    ])
      expect(asked.stdout).toContain(word);
    expect(await user.run([])).toEqual({ code: 2, stdout: '', stderr: asked.stdout });
  });

  it.each([
    [['help', 'devices'], 'Usage: towline devices'],
    [['devices', 'help', 'approve'], 'Usage: towline devices approve'],
    [['devices', 'list', '--help'], '--pending'],
    [['audit', '--help'], '--since'],
    [['pi', '--help'], 'exec'],
    [['pi', 'status', '--help'], 'exit code 5'],
    [['runtime', 'run', '--help'], '--run-as'],
    [['doctor', '--help'], '--transport'],
    [['users', 'disable', '--help'], 'all users that have it'],
    [['help', 'orgs'], 'members'],
    [['orgs', 'members', 'add', '--help'], '--role'],
    [['orgs', 'delete', '--help'], '--devices-to'],
    [['keys', 'create', '--help'], '--enrol'],
    [['devices', 'share', '--help'], '--until'],
    [['devices', 'transfer', '--help'], '--yes'],
  ])('shows the help of %j', async (args, part) => {
    const { code, stdout, stderr } = await user.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(part);
  });

  it.each([
    ['a first word that is near a command', ['lgoin'], 'towline login'],
    ['a command of another version with a word behind it', ['tunnels', 'list'], 'nothing that can be done with a device'],
    ['a device without a verb', ['pi'], 'say what to do'],
    ['a device with a mistyped verb', ['pi', 'stauts'], '“stauts” is nothing that can be done'],
    ['a group without a command', ['devices'], 'Say what to do'],
    ['a mistyped command of a group', ['devices', 'lst'], 'Did you mean list?'],
    ['an unknown option', ['devices', 'list', '--pendign'], '--pending'],
    ['an unknown option before the command', ['--pink', 'devices', 'list'], '--pink'],
    ['an option without its value', ['login', '--relay'], '--relay'],
    ['a missing argument', ['devices', 'rename', 'pi'], 'name'],
    ['an argument too many', ['devices', 'show', 'pi', 'po'], 'Too many arguments'],
    ['a name that would hide a command', ['devices', 'rename', 'pi', 'devices'], 'is a command of towline'],
    ['a scope that is none', ['devices', 'list', '--scope', 'acme'], 'user:EMAIL or org:ID'],
    ['an empty device', ['device:', 'status'], 'no name and no id'],
    ['a time that is none', ['audit', '--since', 'yesterday'], '--since “yesterday”'],
    ['a day that does not exist', ['audit', '--until', '2026-02-31T00:00:00Z'], '--until'],
    ['a limit that is none', ['pi', 'audit', '--limit', '0'], '--limit'],
    ['no relay at all', ['devices', 'list'], 'No relay is set'],
    ['a relay without TLS', ['--relay', 'http://localhost', 'devices', 'list'], 'https://'],
    ['a runtime without a relay', ['runtime', 'run', '--org', 'acme'], 'relay'],
    ['a transport that is none', ['--transport', 'carrier-pigeon', 'whoami'], 'auto, quic, tls, websocket'],
    ['a transport that is none, after the command', ['devices', 'list', '--transport', 'udp'], 'auto, quic, tls, websocket'],
    [
      'a transport of a runtime that is none, before the command',
      ['--transport', 'udp', 'runtime', 'run', '--relay', 'https://localhost:1', '--org', 'acme'],
      'transport',
    ],
    ['a mistyped command of the program', ['orgz', 'list'], 'towline orgs'],
    ['users without a command', ['users'], 'Say what to do'],
    ['members without a command', ['orgs', 'members'], 'Say what to do'],
    ['a user that is neither id nor address', ['users', 'disable', 'bob'], 'no e-mail address'],
    ['a filter that is no address', ['users', 'list', '--email', 'bob@'], 'no e-mail address'],
    ['an organisation with capitals', ['orgs', 'create', 'Acme'], 'no id of an organisation'],
    ['an organisation with a look-alike letter', ['orgs', 'create', '\u0430cme'], 'no id of an organisation'],
    ['an organisation that would leave its path', ['orgs', 'show', '../users'], 'no id of an organisation'],
    ['a member that is none', ['orgs', 'members', 'add', 'acme', 'bob'], 'no e-mail address'],
    ['a member without an organisation', ['orgs', 'members', 'add', 'bob@example.com'], 'email'],
    ['a role that is none', ['orgs', 'members', 'add', 'acme', 'bob@example.com', '--role', 'owner'], 'viewer, operator, admin'],
    ['a share for nobody', ['devices', 'share', 'pi'], 'who'],
    ['a share for a word that is no scope', ['devices', 'share', 'pi', 'bob@example.com'], 'user:EMAIL or org:ID'],
    ['a share with a role that is none', ['devices', 'share', 'pi', 'org:acme', '--role', 'root'], 'viewer, operator, admin'],
    ['a share until no time', ['devices', 'share', 'pi', 'org:acme', '--until', 'tomorrow'], '--until “tomorrow”'],
    ['a share of no length', ['devices', 'share', 'pi', 'org:acme', '--until', '0h'], '--until “0h”'],
    ['a share of a thousand years', ['devices', 'share', 'pi', 'org:acme', '--until', '365000d'], '--until “365000d”'],
    ['a share until a day that does not exist', ['devices', 'share', 'pi', 'org:acme', '--until', '2126-02-31T00:00:00Z'], '--until'],
    ['a transfer to no scope', ['devices', 'transfer', 'pi', 'acme'], 'user:EMAIL or org:ID'],
    ['devices that go nowhere', ['orgs', 'delete', 'acme', '--devices-to', 'umbrella'], 'user:EMAIL or org:ID'],
    ['a key for a scope that is none', ['keys', 'create', '--scope', 'acme=admin'], 'user:EMAIL or org:ID'],
    ['a key with a role that is none', ['keys', 'create', '--scope', 'org:acme=root'], '“root” is no role'],
    ['a key that ends at no time', ['keys', 'create', '--expires', 'never'], '--expires “never”'],
    ['a count without enrolment', ['keys', 'create', '--count', '3'], '--count belongs to --enrol'],
    ['a count that is none', ['keys', 'create', '--enrol', 'org:acme', '--count', '0'], '--count “0”'],
    ['an enrolment key with a scope', ['keys', 'create', '--enrol', 'org:acme', '--scope', 'org:acme'], '--scope limits'],
    ['an enrolment key with a stream', ['keys', 'create', '--enrol', 'org:acme', '--stream', 'exec'], '--stream limits'],
    ['a key id that is none', ['keys', 'revoke', 'ci'], '16 hexadecimal digits'],
    ['a profile that would leave the folder', ['--profile', '../other', 'whoami'], 'not the name of a profile'],
  ])('refuses %s with exit code 2', async (_what, args, part) => {
    const { code, stdout, stderr } = await user.run(args);
    expect(stderr).toContain(part);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^towline: .*\n {2}\S|\ntowline: .*\n {2}\S/);
  });

  it('reports a wrong use as one line of JSON when JSON is wanted', async () => {
    const { code, stderr } = await user.run(['devices', 'list', '--json', '--pink']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'usage', message: expect.stringContaining('--pink'), hint: expect.any(String) } });
  });

  it('fails with 255 when exec or shell is used wrongly, since every other code could be that of the remote command', async () => {
    expect((await user.run(['pi', 'exec', '--pink', '--', 'ls'])).code).toBe(255);
    expect((await user.run(['pi', 'exec'])).code).toBe(255);
    expect(await user.run(['pi', 'exec', '--transport', 'udp', '--', 'ls'])).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('udp'),
    });
  });

  it('shows no escape sequence of a word it does not know', async () => {
    const { stderr } = await user.run(['pi', '\u001b]0;owned\u0007\u009b31m']);
    expect(stderr).not.toMatch(/[\u001b\u0007\u009b]/);
    expect(stderr).toContain('\\u{1b}');
  });
});
