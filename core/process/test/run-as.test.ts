import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveUser } from '../src/account.ts';
import { type Identity, resolveIdentity } from '../src/identity.ts';
import { loginCommand } from '../src/login-command.ts';
import { finishOf, readAll, startOnPipes, startOnTerminal, untilBare } from './running.ts';

const root = process.getuid?.() === 0;
const user = `twltest${process.pid}`;
const group = `${user}g`;

describe.skipIf(!root)('running as another user (needs root)', () => {
  let home: string;
  let identity: Identity;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'towline-home-'));
    execFileSync('groupadd', [group]);
    execFileSync('useradd', ['--no-create-home', '--home-dir', home, '--shell', '/bin/bash', '--user-group', '--groups', group, user]);
    execFileSync('chown', [user, home]);
    execFileSync('chmod', ['700', home]);
    identity = await resolveIdentity({ runAs: user, uid: 0, env: {} });
  });

  afterAll(() => {
    execFileSync('userdel', [user], { stdio: 'ignore' });
    execFileSync('groupdel', [group]);
    rmSync(home, { recursive: true, force: true });
  });

  const ofUser = (...args: string[]) => execFileSync('id', [...args, user], { encoding: 'utf8' });

  it('has the uid, the gid and exactly the groups of that user, on pipes', async () => {
    const program = await startOnPipes(['sh', '-c', 'id -u; id -g; id -G'], { identity });
    expect(await finishOf(program)).toMatchObject({ stdout: `${ofUser('-u')}${ofUser('-g')}${ofUser('-G')}`, stderr: '' });
    expect(ofUser('-G').trim().split(' ')).toHaveLength(2);
  });

  it('has them on a terminal, which belongs to the user', async () => {
    const pty = await startOnTerminal(['sh', '-c', 'id -u; id -g; id -G; stat -c %U $(tty); : >$(tty) && echo opened'], { identity });
    const text = (await readAll(pty.outputs[0]!)).toString().replaceAll('\r', '');
    expect(text).toBe(`${ofUser('-u')}${ofUser('-g')}${ofUser('-G')}${user}\nopened\n`);
  });

  it('has no way back: saved ids and capabilities are gone too', async () => {
    const program = await startOnPipes(['cat', '/proc/self/status'], { identity });
    const { stdout } = await finishOf(program);
    const uid = ofUser('-u').trim();
    expect(stdout).toMatch(new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, 'm'));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(stdout).toMatch(new RegExp(`^${set}:\\t0{16}$`, 'm'));
    expect(stdout).toMatch(/^NoNewPrivs:\t0$/m);
  });

  it('begins in the home folder of that user, with the environment of a login', async () => {
    const program = await startOnPipes(loginCommand(identity.account, ['sh', '-c', 'pwd; echo $HOME $USER $LOGNAME $SHELL']), { identity });
    expect((await finishOf(program)).stdout).toBe(`${home}\n${home} ${user} ${user} /bin/bash\n`);
  });

  it('may open its outputs by name', async () => {
    const program = await startOnPipes(['sh', '-c', 'echo one >/dev/stdout; echo two >/dev/stderr'], { identity });
    expect(await finishOf(program)).toMatchObject({ stdout: 'one\n', stderr: 'two\n' });
  });

  it('holds no descriptor of the runtime', async () => {
    await startOnTerminal(['sleep', '60']);
    const program = await startOnPipes(['sleep', '60'], { identity });
    await untilBare(program.pid, 'sleep');
    expect(statSync(`/proc/${program.pid}`).uid).toBe(identity.account.uid);
  });

  it('is ended with its session by the root it does not belong to', async () => {
    const program = await startOnPipes(['sleep', '60'], { identity });
    expect(await program.end()).toEqual([]);
    expect(await program.exited).toMatchObject({ signal: 'SIGTERM' });
  });

  it('is root when that is what run_as says', async () => {
    const rootIdentity = await resolveIdentity({ runAs: 'root', uid: 0, env: {} });
    expect(rootIdentity).toMatchObject({ account: { name: 'root', uid: 0 }, switchUser: [] });
  });
});

describe('whom to run as', () => {
  it('must be said to a runtime that is root', async () => {
    await expect(resolveIdentity({ runAs: undefined, uid: 0, env: {} })).rejects.toMatchObject({ code: 'run_as_required' });
  });

  it('cannot be another user for a runtime that is not root', async () => {
    const refusal = await resolveIdentity({ runAs: 'daemon', uid: 4_242, env: {} }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'spawn_failed', message: expect.stringContaining('daemon') });
  });

  it('may be named by a runtime that is that user already', async () => {
    const { uid } = await resolveUser('daemon');
    expect(await resolveIdentity({ runAs: 'daemon', uid, env: {} })).toMatchObject({ account: { name: 'daemon' }, switchUser: [] });
  });

  it.each(['no-such-user-here', '', '-h', 'root:x', 'a\nb', '../root', 'root\0'])('is refused when there is no user %j', async (name) => {
    await expect(resolveIdentity({ runAs: name, uid: 0, env: {} })).rejects.toMatchObject({ code: 'spawn_failed' });
  });
});
