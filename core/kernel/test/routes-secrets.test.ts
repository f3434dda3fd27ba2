import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import type { CreatedKeyView, ListView, SecretView } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { REFUSED_SECRET_BEGINNINGS, REFUSED_SECRET_NAMES, type Scope } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Asking, type RoutesRelay, startRoutesRelay } from './routes-relay.ts';

const ACME = 'org:acme';
const ALICE = 'user:alice@example.com';
const VALUE = 'planted-value-of-a-secret';

let relay: RoutesRelay;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    vera: { email: 'vera@example.com' },
    gus: { email: 'gus@example.com' },
    exec: { email: 'exec@example.com', streams: ['exec'] },
  });
  for (const id of ['acme', 'globex', 'gone']) await relay.call('root', 'POST /v1/orgs', { id });
  const members = {
    'acme/members/alice': 'admin',
    'acme/members/exec': 'admin',
    'acme/members/bob': 'operator',
    'acme/members/vera': 'viewer',
  };
  for (const [path, role] of Object.entries(members)) await relay.call('root', `PUT /v1/orgs/${path}@example.com`, { role });
  await relay.call('root', 'PUT /v1/orgs/globex/members/gus@example.com', { role: 'admin' });
});
afterAll(() => relay?.[Symbol.asyncDispose]());

const put = (who: Asking, place: string, value: unknown = VALUE): Promise<Answer<SecretView>> =>
  relay.call(who, `PUT /v1/secrets/${place}`, { value });
const remove = (who: Asking, place: string) => relay.call(who, `DELETE /v1/secrets/${place}`);
const list = async (who: Asking, query = '') => (await relay.call<ListView<SecretView>>(who, `GET /v1/secrets${query}`)).body;
const names = async (who: Asking, query = '') => (await list(who, query)).items.map(({ scope, name }) => `${scope}/${name}`);
const short = ({ status, code }: Answer) => (code === undefined ? String(status) : `${status} ${code}`);

describe('a secret', () => {
  it('is set and replaced; what is shown of it is neither its value nor how it is encrypted', async () => {
    const first = await put('alice', `${ALICE}/TOKEN`);
    expect(first.status).toBe(200);
    expect(first.body).toEqual({
      scope: ALICE,
      name: 'TOKEN',
      created_at: expect.any(String),
      created_by: 'alice@example.com',
      updated_at: first.body.created_at,
      updated_by: 'alice@example.com',
    });
    const second = await put('root', `${ALICE}/TOKEN`, 'another');
    expect(second.body).toMatchObject({
      created_at: first.body.created_at,
      created_by: 'alice@example.com',
      updated_by: 'root@example.com',
    });
    expect((await list('alice')).items).toEqual([second.body]);
    const stored = (await relay.store.secrets.get(ALICE as Scope, 'TOKEN', SYSTEM_SCOPE))!;
    expect(stored).toMatchObject({ sealed: expect.stringMatching(/^v1\./), revision: 2 });
    const shown = JSON.stringify([first, second, await list('alice')]);
    for (const hidden of [VALUE, 'another', stored.sealed, stored.keyId]) expect(shown).not.toContain(hidden);
  });

  it('is removed once', async () => {
    await put('alice', `${ALICE}/BRIEF`);
    expect(short(await remove('alice', `${ALICE}/BRIEF`))).toBe('204');
    expect(short(await remove('alice', `${ALICE}/BRIEF`))).toBe('404 not_found');
    expect(await names('alice')).not.toContain(`${ALICE}/BRIEF`);
  });

  it('is in the trail by its scope and name', async () => {
    await put('alice', `${ACME}/TRAILED`);
    await remove('alice', `${ACME}/TRAILED`);
    for (const action of ['secret.set', 'secret.removed']) {
      const [record] = await relay.trail(action);
      expect(record).toMatchObject({ actor: { label: 'alice@example.com' }, detail: { scope: ACME, name: 'TRAILED' } });
      expect(JSON.stringify(await relay.trail(action))).not.toMatch(new RegExp(`${VALUE}|v1\\.`));
    }
  });

  it.each([
    ['PATH', 'x', 'name: PATH is refused'],
    ['LD_PRELOAD', 'x', 'name: LD_PRELOAD is refused'],
    ['TOWLINE_API_KEY', 'x', 'name: TOWLINE_API_KEY is refused'],
    ['bash_env', 'x', 'name: bash_env is refused'],
    ['1A', 'x', 'name: the name of a secret has'],
    ['A%00B', 'x', 'name: the name of a secret has'],
    ['A%2FB', 'x', 'name: the name of a secret has'],
    ['N'.repeat(129), 'x', 'name: the name of a secret has'],
    ['EMPTY', '', 'value: a secret cannot be empty'],
    ['NUL', `${VALUE}\0`, 'value: a secret cannot hold a NUL'],
    ['LONE', `${VALUE}\ud800`, 'value: a secret must be valid Unicode'],
    ['LONG', VALUE.repeat(1_000), 'value: a secret has at most 16384 bytes'],
    ['NUMBER', 7, 'value: '],
    ['LIST', [VALUE], 'value: '],
    ['NOTHING', null, 'value: '],
  ])('case %#, the name %s, is refused, and nothing of the value is repeated', async (name, value, text) => {
    const answer = await put('alice', `${ALICE}/${name}`, value);
    expect(short(answer)).toBe('400 invalid_request');
    expect(answer.message).toContain(text);
    expect(JSON.stringify(answer.body)).not.toContain(VALUE);
    expect(await names('alice')).toEqual([`${ALICE}/TOKEN`]);
  });

  it('is refused by every name that programs go by', async () => {
    const names = [...REFUSED_SECRET_NAMES, ...REFUSED_SECRET_BEGINNINGS.map((beginning) => `${beginning}X`)];
    for (const name of names) expect(short(await put('alice', `${ALICE}/${name}`)), name).toBe('400 invalid_request');
  });

  it('is refused with a body that is no object with a value alone', async () => {
    for (const body of [[], 'text', null, { value: 'x', more: 1 }, { values: 'x' }]) {
      expect(short(await relay.call('alice', `PUT /v1/secrets/${ALICE}/BODY`, body))).toBe('400 invalid_request');
    }
    for (const text of [`{"value":"${VALUE}`, `{"value":"${VALUE}"}}`, `${VALUE}`]) {
      const answer = await sendText(`/v1/secrets/${ALICE}/BODY`, text);
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain(VALUE);
    }
  });

  it('has a scope that is one', async () => {
    for (const scope of ['acme', 'org:ACME', 'user:nobody', 'x:y'])
      expect(short(await put('root', `${scope}/A`))).toBe('400 invalid_request');
    expect(short(await put('root', 'org:nowhere/A'))).toBe('404 not_found');
  });
});

describe('who may', () => {
  it('set and remove: admins of the scope, with a credential that is not limited', async () => {
    expect(short(await put('alice', `${ACME}/SHARED`))).toBe('200');
    const limited = { key: ((await relay.call('alice', 'POST /v1/keys', { streams: ['exec'] })).body as CreatedKeyView).key };
    const lesser = {
      key: ((await relay.call('alice', 'POST /v1/keys', { scopes: [{ scope: ACME, role: 'operator' }] })).body as CreatedKeyView).key,
    };
    const whole = { key: ((await relay.call('alice', 'POST /v1/keys', {})).body as CreatedKeyView).key };
    for (const who of ['bob', 'vera', 'exec', limited, lesser]) {
      expect(short(await put(who, `${ACME}/SHARED`)), JSON.stringify(who)).toBe('403 forbidden');
      expect(short(await remove(who, `${ACME}/SHARED`))).toBe('403 forbidden');
    }
    expect(short(await put(limited, `${ALICE}/TOKEN`))).toBe('403 forbidden');
    expect(short(await put(lesser, `${ALICE}/TOKEN`))).toBe('404 not_found');
    expect(short(await put(whole, `${ACME}/SHARED`))).toBe('200');
    expect(short(await put(null, `${ACME}/SHARED`))).toBe('401 unauthenticated');
  });

  it('see names: whoever holds the scope; for others it does not exist', async () => {
    for (const who of ['alice', 'bob', 'vera', 'root']) expect(await names(who, `?scope=${ACME}`)).toContain(`${ACME}/SHARED`);
    expect(await names('gus')).toEqual([]);
    expect(await list('gus', `?scope=${ACME}`)).toEqual(await list('gus', '?scope=org:nowhere'));
    const answers = async (scope: string) =>
      [await put('gus', `${scope}/SHARED`), await remove('gus', `${scope}/SHARED`)].map(({ status, body }) => [status, body]);
    expect(await answers(ACME)).toEqual(await answers('org:nowhere'));
  });

  it('read them page by page', async () => {
    for (const name of ['A', 'B', 'C', 'D', 'E']) await put('gus', `org:globex/PAGE_${name}`);
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await list('gus', `?scope=org:globex&limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ name }) => name));
      cursor = page.next ?? '';
    } while (cursor !== '');
    expect(seen).toEqual(['A', 'B', 'C', 'D', 'E'].map((name) => `PAGE_${name}`));
  });
});

describe('the bounds of a scope', () => {
  it('are 500 secrets, however many are set at the same moment; those that are there can be replaced', async () => {
    const bob = 'user:bob@example.com';
    const answers: string[] = [];
    for (let at = 0; at < 520; at += 20) {
      const some = await Promise.all(Array.from({ length: 20 }, (_, more) => put('bob', `${bob}/N_${at + more}`, 'x')));
      answers.push(...some.map(short));
    }
    expect(answers.filter((answer) => answer === '200')).toHaveLength(500);
    expect(answers.filter((answer) => answer === '409 conflict')).toHaveLength(20);
    expect(await relay.store.secrets.count(bob as Scope)).toBe(500);
    const refused = await put('bob', `${bob}/ONE_MORE`, 'x');
    expect(refused.message).toBe(`${bob} has 500 secrets, and more are not possible.`);
    const [kept] = (await list('bob', `?scope=${bob}`)).items;
    expect(short(await put('bob', `${bob}/${kept!.name}`, 'y'))).toBe('200');
    expect(short(await put('alice', `${ALICE}/STILL_FREE`))).toBe('200');
  });

  it('end with the organisation, which gets no more', async () => {
    await put('root', 'org:gone/OLD');
    expect(short(await relay.call('root', 'DELETE /v1/orgs/gone'))).toBe('204');
    expect(await relay.store.secrets.count('org:gone' as Scope)).toBe(0);
    expect(short(await put('root', 'org:gone/NEW'))).toBe('410 org_deleted');
    expect(await relay.store.secrets.count('org:gone' as Scope)).toBe(0);
  });

  it('several who set one secret at once all succeed, and one value stays', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => put('alice', `${ALICE}/RACED`, `value ${at}`)));
    expect(answers.map(short)).toEqual(Array(8).fill('200'));
    expect((await relay.store.secrets.get(ALICE as Scope, 'RACED', SYSTEM_SCOPE))!.revision).toBe(8);
  });
});

it('no value lies in the files of the relay', () => {
  const files = readdirSync(relay.dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(2);
  for (const { parentPath, name } of files) expect(readFileSync(join(parentPath, name), 'latin1').includes(VALUE), name).toBe(false);
});

/** Sends a text that need not be JSON, as alice. */
function sendText(path: string, text: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const authorization = `Basic ${Buffer.from('alice:correct horse battery staple').toString('base64')}`;
    const headers = { authorization, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = httpRequest(new URL(path, relay.url), { method: 'PUT', headers }, (response) => {
      let read = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (read += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, text: read }));
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
