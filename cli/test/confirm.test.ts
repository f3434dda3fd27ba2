import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOnTerminal } from './on-terminal.ts';
import { type RelayPeer, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY, type User } from './run-cli.ts';
import { accessView, DEVICE_ID, deviceView } from './views.ts';

describe('what cannot be taken back is asked for on a terminal', () => {
  let user: User;
  let peer: RelayPeer;
  beforeEach(async () => {
    user = await makeUser();
    peer = await startPeer(({ method, path }) => {
      if (method === 'DELETE') return { status: 204, json: null };
      return { json: path.endsWith('/access') ? accessView() : deviceView() };
    });
  });
  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });
  const answer = (keys: string, ...args: string[]) => {
    const env = {
      TOWLINE_CONFIG_DIR: user.dir,
      TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem'),
      TOWLINE_RELAY: peer.url,
      TOWLINE_API_KEY: USER_KEY,
    };
    return answerOnTerminal(args, env, { question: '[y/N]', keys });
  };
  const changes = () => peer.requests.filter(({ method }) => method !== 'GET').map(({ method, path }) => `${method} ${path}`);

  it('names the device and the shares that end, and gives away the device that it named', async () => {
    const { code, shown } = await answer('y\r', 'devices', 'transfer', 'pi', 'org:umbrella');
    expect(code).toBe(0);
    expect(shown).toContain(`Give pi (${DEVICE_ID}) of org:acme to org:umbrella? Its shares end: user:bob@example.com. [y/N]`);
    expect(changes()).toEqual([`POST /v1/devices/${DEVICE_ID}/transfer`]);
  });

  it.each([['\r'], ['n\r'], ['yesterday\r'], ['\u0004'], ['\u0003']])('changes nothing for the answer %j', async (keys) => {
    const { code, shown } = await answer(keys, 'devices', 'transfer', 'pi', 'org:umbrella');
    expect(code).toBe(130);
    expect(shown).toMatch(/Nothing was changed|Interrupted/);
    expect(changes()).toEqual([]);
  });

  it('deletes an organisation only for a yes', async () => {
    expect(await answer('no\r', 'orgs', 'delete', 'acme')).toMatchObject({ code: 130 });
    expect(changes()).toEqual([]);
    expect(await answer('YES\r', 'orgs', 'delete', 'acme')).toMatchObject({ code: 0 });
    expect(changes()).toEqual(['DELETE /v1/orgs/acme']);
  });

  it('does not ask with --yes', async () => {
    const transfer = await answer('', 'devices', 'transfer', 'pi', 'org:umbrella', '--yes');
    const deletion = await answer('', 'orgs', 'delete', 'acme', '--yes');
    expect([transfer.code, deletion.code]).toEqual([0, 0]);
    expect(transfer.shown + deletion.shown).not.toContain('[y/N]');
    expect(changes()).toEqual(['POST /v1/devices/pi/transfer', 'DELETE /v1/orgs/acme']);
  });
});
