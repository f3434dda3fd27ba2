import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Finding, failed, ok, skipped, warning } from '../src/doctor/finding.ts';
import { checkPermissions } from '../src/doctor/permissions.ts';
import { type Check, type NamedFinding, runChecks } from '../src/doctor/run-checks.ts';
import { judgeUdp } from '../src/doctor/udp.ts';
import { judgeUdpBuffers } from '../src/doctor/udp-buffers.ts';

const never = new AbortController().signal;

describe('the order of checks', () => {
  const check = (name: string, needs: readonly string[], found: Finding | (() => Promise<Finding>), deadlineMs = 10_000): Check => ({
    name,
    needs,
    deadlineMs,
    run: async () => (typeof found === 'function' ? found() : found),
  });
  const findings = async (checks: readonly Check[], signal = never) => {
    const found: NamedFinding[] = [];
    for await (const each of runChecks(checks, signal)) found.push(each);
    return found;
  };

  it('names the first broken part wherever something builds upon it, and checks the rest', async () => {
    let asked = false;
    const found = await findings([
      check('a', [], ok('fine')),
      check('b', ['a'], failed('broken', 'mend it')),
      check('c', ['b'], async () => {
        asked = true;
        return ok('never');
      }),
      check('d', ['a', 'c'], ok('never')),
      check('e', ['a'], warning('not so well', 'look')),
      check('f', ['e'], ok('a warning stops nothing')),
    ]);
    expect(found.map(({ check: name, status }) => `${name} ${status}`)).toEqual([
      'a ok',
      'b failed',
      'c skipped',
      'd skipped',
      'e warning',
      'f ok',
    ]);
    expect(found.filter(({ status }) => status === 'skipped').map(({ message }) => message)).toEqual([
      'Not checked, because b did not pass.',
      'Not checked, because b did not pass.',
    ]);
    expect(asked).toBe(false);
  });

  it('takes a check that was skipped for one that did not pass', async () => {
    const found = await findings([check('login', [], skipped('nobody')), check('link', ['login'], ok('never'))]);
    expect(found[1]).toMatchObject({ status: 'skipped', message: 'Not checked, because login did not pass.' });
  });

  it('makes an error the finding, and says of a fault of its own that it is one', async () => {
    const found = await findings([
      check('a', [], () => Promise.reject(new TowlineError('relay_unreachable', 'No way.', { hint: 'Go round.' }))),
      check('b', [], () => Promise.reject(new RangeError('out of range'))),
    ]);
    expect(found).toEqual([
      { check: 'a', status: 'failed', message: 'No way.', hint: 'Go round.' },
      { check: 'b', status: 'failed', message: 'The check itself failed: out of range', hint: 'This is a fault of the program.' },
    ]);
  });

  it('ends a check that never comes back, and lets others go on meanwhile', async () => {
    const found = await findings([check('stuck', [], () => new Promise(() => {}), 50), check('free', [], ok('fine'))]);
    expect(found).toEqual([
      { check: 'stuck', status: 'failed', message: 'It was not done within 0.05 s.', hint: expect.any(String) },
      { check: 'free', status: 'ok', message: 'fine', hint: null },
    ]);
  });

  it('lets a check that hears of its deadline say what it waited for', async () => {
    const listening: Check = {
      name: 'dns',
      needs: [],
      deadlineMs: 50,
      run: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => setTimeout(() => reject(new TowlineError('relay_unreachable', 'DNS is silent.')), 20));
        }),
    };
    expect(await findings([listening])).toMatchObject([{ status: 'failed', message: 'DNS is silent.' }]);
  });
});

describe('the files of the user', () => {
  let root: string;
  let dir: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'towline-doctor-'));
    dir = join(root, 'config');
    await mkdir(dir, { mode: 0o700 });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));
  const put = (name: string, text: string, mode = 0o600) => writeFile(join(dir, name), text, { mode });

  it('are in order when they are there for the user alone, or not there at all', async () => {
    expect(await checkPermissions({ dir: join(root, 'none') })).toMatchObject([{ status: 'ok' }]);
    await put('config.json', '{}');
    await put('credentials.json', '{}');
    expect(await checkPermissions({ dir })).toMatchObject([{ status: 'ok', message: expect.stringContaining('yours alone') }]);
  });

  it('are named one by one when others can read them or they are damaged', async () => {
    await put('config.json', '{}', 0o644);
    await put('credentials.json', '{"credentials": {"APIKey": "twl_u_secret"', 0o600);
    await put('device.json', '{}', 0o600);
    const found = await checkPermissions({ dir });
    expect(found).toMatchObject([
      { status: 'failed', message: expect.stringContaining('config.json can be read by others (mode 0644)') },
      { status: 'failed', message: expect.stringContaining('credentials.json is not JSON') },
      { status: 'failed', message: expect.stringContaining('device.json has no "device_id"') },
    ]);
    expect(found[0]!.hint).toContain('chmod 600');
    expect(JSON.stringify(found)).not.toContain('twl_u_secret');
  });

  it('are at risk, once, in a folder that others can write to', async () => {
    await chmod(dir, 0o777);
    await put('config.json', '{}');
    const found = await checkPermissions({ dir });
    expect(found).toMatchObject([{ status: 'failed', message: expect.stringContaining('mode 0777') }]);
    expect(found[0]!.hint).toContain('chmod 700');
  });

  it('are worth a warning in a folder that others can look into', async () => {
    await chmod(dir, 0o755);
    expect(await checkPermissions({ dir })).toMatchObject([{ status: 'warning', hint: `Run chmod 700 ${dir}.` }]);
  });

  it('cannot be where there is no folder', async () => {
    await put('file', '');
    expect(await checkPermissions({ dir: join(dir, 'file') })).toMatchObject([
      { status: 'failed', message: expect.stringContaining('no folder') },
    ]);
    expect(await checkPermissions({ dir: join(dir, 'file', 'below') })).toMatchObject([
      { status: 'failed', message: expect.stringContaining('ENOTDIR') },
    ]);
  });
});

describe('buffers for UDP', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'towline-doctor-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const limits = async (rmem: string, wmem: string) => {
    await writeFile(join(folder, 'rmem_max'), rmem);
    await writeFile(join(folder, 'wmem_max'), wmem);
    return judgeUdpBuffers(folder);
  };

  it('are large enough from 2 MiB on', async () => {
    expect(await limits('2097152\n', '16777216\n')).toMatchObject({ status: 'ok' });
  });

  it('that are too small come with the line that makes them larger', async () => {
    const both = await limits('212992\n', '212992\n');
    expect(both).toMatchObject({ status: 'warning', message: expect.stringContaining('rmem_max is 208 KiB, wmem_max is 208 KiB') });
    expect(both.hint).toContain('sysctl -w net.core.rmem_max=2097152 net.core.wmem_max=2097152');
    expect((await limits('4194304\n', '212992\n')).hint).toContain('sysctl -w net.core.wmem_max=2097152`');
  });

  it('are not judged where the system does not tell', async () => {
    expect(await judgeUdpBuffers(join(folder, 'none'))).toMatchObject({ status: 'skipped' });
    expect(await limits('much\n', '212992\n')).toMatchObject({ status: 'skipped' });
  });
});

describe('UDP', () => {
  const request = { relay: new URL('https://127.0.0.1:8085'), trust: {}, environment: {}, warn: () => {}, signal: never };

  it('is well when the handshake is', async () => {
    expect(await judgeUdp(async () => ({ roundTripMs: 12.4 }), request)).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('12 ms'),
    });
  });

  it.each([
    ['relay_unreachable', 'warning', 'UDP port 8085 of 127.0.0.1'],
    ['relay_unreachable', 'warning', 'links go over TLS'],
    ['relay_untrusted', 'warning', '--fingerprint'],
    ['unavailable', 'skipped', 'links go over TLS'],
  ] as const)('that ends with %s is no failure but a finding of %s, since TLS is there too', async (code, status, hint) => {
    const found = await judgeUdp(() => Promise.reject(new TowlineError(code, 'It is so.')), request);
    expect(found).toMatchObject({ status, message: 'It is so.', hint: expect.stringContaining(hint) });
  });

  it('that stays silent until the time is up is a warning too', async () => {
    const over = AbortSignal.abort();
    const found = await judgeUdp(() => Promise.reject(over.reason), { ...request, signal: over });
    expect(found).toMatchObject({ status: 'warning', message: 'Nothing comes back from UDP port 8085 of 127.0.0.1.' });
  });
});
