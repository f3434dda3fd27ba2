import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, runProgram, startProgram } from './support/process.ts';
import { runRelay } from './support/relay-process.ts';
import { createSystem, type TestSystem } from './support/system.ts';

const NEW_SECRET = 'zK3vQ9xT7mW1pL5rH8nB4cJ6fD2gS0yA-uE_iOqVtXw';
let system: TestSystem;
/** Folder of the config files. */
let dir: string;
beforeAll(() => {
  system = createSystem();
  dir = join(system.dir, 'config');
  mkdirSync(dir);
});
afterAll(() => system[Symbol.asyncDispose]());

describe('towline-relay check', () => {
  it('prints what would run, touches nothing and exits 0', async () => {
    writeFileSync(
      join(dir, 'plain.yaml'),
      `data: untouched\nserver: { host: 127.0.0.1, tls: { enabled: false } }\nforward_secret: ${NEW_SECRET}\n`,
    );
    const { code, stdout, stderr } = await runRelay(['check', '--config', join(dir, 'plain.yaml')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`config     ${join(dir, 'plain.yaml')}\n`);
    expect(stdout).toContain('listens on 127.0.0.1 port 8085 without TLS\n');
    expect(stdout).not.toContain(NEW_SECRET);
    expect(existsSync(join(dir, 'untouched'))).toBe(false);
  });

  it('tells all faults of a file at once, each with its line, and exits 2, as start does', async () => {
    const file = join(dir, 'faulty.yaml');
    writeFileSync(
      file,
      [
        'server:',
        '  prot: 8085',
        '  host: 0.0.0.0',
        '  tls: { enabled: false }',
        'log_level: loud',
        'forward_secret: short-and-weak',
        'streams: [exec, exec]',
        'transports: []',
        'enrolment: { expiry: 5 parsecs }',
        `admin_emails: ["\${NO_SUCH_VARIABLE}"]`,
      ].join('\n'),
    );
    const checked = await runRelay(['check', '--config', file]);
    expect(checked).toMatchObject({ code: 2, stdout: '' });
    for (const [line, key] of [
      [2, 'server.prot'],
      [4, 'server.tls.enabled'],
      [5, 'log_level'],
      [6, 'forward_secret'],
      [7, 'streams'],
      [8, 'transports'],
      [9, 'enrolment.expiry'],
      [10, 'admin_emails'],
    ] as const)
      expect(checked.stderr).toMatch(new RegExp(`^${file}:${line}: ${key.replaceAll('.', '\\.')}`, 'm'));
    expect(checked.stderr).toContain('did you mean port?');
    expect(checked.stderr).not.toContain('short-and-weak');
    const started = await runRelay(['start', '--config', file]);
    expect(started).toMatchObject({ code: 2, stdout: '', stderr: checked.stderr });
  });

  it('tells all faults of plugins at once, each with its line', async () => {
    const file = join(dir, 'plugins.yaml');
    writeFileSync(
      file,
      [
        'store: { use: sqlit }',
        'auth:',
        '  - apikey',
        '  - kerberos',
        'audit:',
        '  sinks:',
        '    - { use: file, path: a.jsonl, max_sise: 1GB }',
        '    - { use: file, path: a.jsonl, keep: 0 }',
        'streams: [exec, teleport]',
      ].join('\n'),
    );
    const { code, stdout, stderr } = await runRelay(['check', '--config', file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    for (const fault of [
      `${file}:1: No store plugin is called "sqlit". Did you mean "sqlite"?`,
      `${file}:4: No auth plugin is called "kerberos".`,
      `${file}:7: audit "file": unknown option "max_sise". Did you mean "max_size"?`,
      `${file}:8: audit "file": keep`,
      `${file}:9: No stream plugin is called "teleport".`,
    ])
      expect(stderr).toContain(fault);
  });
});

describe('server.tls.enabled: false', () => {
  it('serves plain HTTP on loopback, which neither towline nor a runtime sends a credential over', async () => {
    await using program = startProgram(bin('towline-relay'), ['start', '--config', join(dir, 'plain.yaml'), '--port', '0'], { cwd: dir });
    const [, url = ''] = await program.saw(/^ready url=(http:\/\/127\.0\.0\.1:\d+)$/m);
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({
      status: 'ready',
      transports: { quic: { status: 'unavailable', detail: expect.stringContaining('QUIC needs TLS') } },
    });
    const env = {
      TOWLINE_CONFIG_DIR: join(system.dir, 'plain'),
      TOWLINE_RELAY: url,
      TOWLINE_API_KEY: `twl_u_${'0'.repeat(16)}_${'0'.repeat(64)}`,
    };
    const used = await runProgram(bin('towline'), ['whoami'], { env });
    expect(used).toMatchObject({ code: 2, stdout: '' });
    expect(used.stderr).toContain('https://');
    const agent = startProgram(bin('towline-agent'), ['run', '--relay', url, '--email', 'a@example.com'], {
      env: { TOWLINE_CONFIG_DIR: join(system.dir, 'plain-device') },
    });
    const { code, stderr } = await agent.finished;
    expect(code).toBe(2);
    expect(stderr).toContain('https://');
  });
});
