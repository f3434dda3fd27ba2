import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createId, type SessionId } from '@towline/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePasswd } from '../src/account.ts';
import { checkShell, loginCommand } from '../src/login-command.ts';
import { loginEnvironment } from '../src/login-environment.ts';
import { finishOf, ourselves, startOnPipes } from './running.ts';

describe('a command in the login environment', () => {
  let home: string;

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'towline-home-'));
    writeFileSync(join(home, '.profile'), 'export FROM_PROFILE=yes\n');
    symlinkSync('/bin/false', join(home, 'fish'));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const withShell = (shell: string) => ({ ...ourselves, account: { ...ourselves.account, home, shell } });

  it.each(['/bin/bash', '/bin/dash', '/bin/sh'])('is what %s makes of its profile', async (shell) => {
    const identity = withShell(shell);
    const program = await startOnPipes(loginCommand(identity.account, ['sh', '-c', 'echo $FROM_PROFILE']), { identity });
    expect((await finishOf(program)).stdout).toBe('yes\n');
  });

  it('gets its words unsplit through the login shell', async () => {
    const identity = withShell('/bin/bash');
    const words = ['a  b', "'", '"', '$(id)', 'x\ny', '\\', '', '--'];
    const program = await startOnPipes(loginCommand(identity.account, ['printf', '<%s>', ...words]), { identity });
    expect((await finishOf(program)).stdout).toBe(words.map((word) => `<${word}>`).join(''));
  });

  it('goes by /bin/sh where the shell speaks another language', async () => {
    const identity = withShell(join(home, 'fish'));
    const program = await startOnPipes(loginCommand(identity.account, ['echo', 'here']), { identity });
    expect((await finishOf(program)).stdout).toBe('here\n');
  });

  it('is left to a shell that lets nobody in', () => {
    expect(loginCommand({ ...ourselves.account, shell: '/usr/sbin/nologin' }, ['id'])[0]).toBe('/usr/sbin/nologin');
  });

  it.each(['/no/such/shell', 'bash', '/etc/passwd'])('is refused when the shell is %s', async (shell) => {
    await expect(checkShell({ ...ourselves.account, shell })).rejects.toMatchObject({ code: 'spawn_failed' });
  });
});

describe('the environment of a login', () => {
  const request = { account: ourselves.account, session: createId<SessionId>() };

  it('takes over a terminal type and a locale only when they are plain names', () => {
    const passed = loginEnvironment({ ...request, principal: 'x', term: 'xterm-256color', lang: 'de_DE.UTF-8@euro' });
    expect(passed).toMatchObject({ TERM: 'xterm-256color', LANG: 'de_DE.UTF-8@euro' });
    for (const bad of ['../x', '/etc/x', '', 'a b', 'a\nb', '.x', 'x'.repeat(65)]) {
      const refused = loginEnvironment({ ...request, principal: 'x', term: bad, lang: bad });
      expect(refused).not.toHaveProperty('TERM');
      expect(refused.LANG).toBe('C.UTF-8');
    }
  });

  it('holds no character that could end or forge a variable, whatever a principal is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (principal) => {
        const { TOWLINE_USER: label } = loginEnvironment({ ...request, principal });
        expect(label).not.toMatch(/[\0-\x1f\x7f]/);
        expect(label!.length).toBeLessThanOrEqual(320);
      }),
    );
  });
});

describe('lines of passwd', () => {
  const text = 'root:x:0:0:root:/root:/bin/bash\nbroken:x:a:b::/:/bin/sh\nada:x:1001:1002:,,,:/home/ada:\n\nshort:x';

  it('are found by name and by number', () => {
    expect(parsePasswd(text, 'ada')).toEqual({ name: 'ada', uid: 1001, gid: 1002, home: '/home/ada', shell: '/bin/sh' });
    expect(parsePasswd(text, '1001')?.name).toBe('ada');
  });

  it('count for nothing when they are broken', () => {
    for (const name of ['broken', 'short', '', 'nobody']) expect(parsePasswd(text, name)).toBeNull();
  });
});
