import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Role } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkAs, outcomeOfLinking } from '../support/matrix-link.ts';
import { buildMatrixWorld, type MatrixWorld } from '../support/matrix-world.ts';
import { ROOT } from '../support/process.ts';
import { type ApiAnswer, bodyOf } from '../support/relay-api.ts';
import {
  CLASSES,
  GUEST,
  type ObjectKind,
  ROUTES,
  type RouteRow,
  SECRET,
  STREAMS,
  type Standing,
  type StreamRow,
  type Whose,
} from './expectations.ts';
import { PRINCIPAL_NAMES, type PrincipalName, rowOf, USERS } from './principals.ts';

/** Requests at a time. */
const AT_ONCE = 6;

let world: MatrixWorld;
beforeAll(async () => {
  world = await buildMatrixWorld();
}, 120_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** What somebody is to an object. */
function standingOf(principal: PrincipalName, kind: ObjectKind, whose: Whose): Standing {
  const { platform, holds = {}, lent, limit } = rowOf(principal);
  if (whose === 'absent' || whose === 'deleted') return 'none';
  if (platform) return 'platform';
  if (limit === 'own device' && whose !== 'own' && (kind === 'device' || kind === 'session')) return 'none';
  if (whose === 'own') return 'admin';
  if (whose === 'lent') return lent === undefined ? 'none' : (`share ${lent}` as const satisfies `share ${Role}`);
  return holds[whose === 'org' ? 'acme' : 'globex'] ?? 'none';
}

/** One request: who, and about what. */
interface Cell {
  readonly principal: PrincipalName;
  /** Null on routes about no object. */
  readonly whose: Whose | null;
}

const cellName = ({ principal, whose }: Cell) => (whose === null ? principal : `${principal}, ${whose}`);
const short = ({ status, code }: ApiAnswer) => (code === undefined ? String(status) : `${status} ${code}`);

function cellsOf({ object }: RouteRow): readonly Cell[] {
  if (object === undefined) return PRINCIPAL_NAMES.map((principal) => ({ principal, whose: null }));
  return PRINCIPAL_NAMES.flatMap((principal) =>
    CLASSES[object].filter((whose) => world.idOf(object, whose, principal) !== undefined).map((whose) => ({ principal, whose })),
  );
}

/** What the credential alone is answered, where that settles it. */
function dueOfCredential({ takes }: RouteRow, principal: PrincipalName): string | null {
  const { by, refused } = rowOf(principal);
  if (takes === 'anyone' || (takes === 'enrolment' && by === 'nothing')) return null;
  if (by === 'device key' || by === 'enrolment key') return by === `${takes} key` ? null : '401 key_wrong_kind';
  if (refused !== undefined) return refused;
  return takes === 'user' ? null : '401 key_wrong_kind';
}

function due(row: RouteRow, { principal, whose }: Cell): string {
  const { object, answers, but } = row;
  const refused = dueOfCredential(row, principal);
  if (refused !== null) return refused;
  const exception = but?.[principal]?.all ?? (whose === null ? undefined : but?.[principal]?.[whose]);
  if (exception !== undefined) return exception;
  if (typeof answers === 'string') return whose === 'absent' ? '404 not_found' : answers;
  const standing = standingOf(principal, object!, whose!);
  if (standing === 'none' && rowOf(principal).platform) return '404 not_found';
  return answers[standing] ?? '404 not_found';
}

async function callCell(route: string, row: RouteRow, { cell, id }: { cell: Cell; id: string | undefined }): Promise<ApiAnswer> {
  const [method = '', path = ''] = route.split(' ');
  const parameters = [id, row.second].filter((each) => each !== undefined);
  const filled = path.replace(/\{[^}]*\}/g, () => encodeURIComponent(parameters.shift() ?? ''));
  return world.call(cell.principal, method, filled, row.body?.(cell.principal, cell.whose));
}

/** Sees to it that a call that succeeds finds what it needs, and leaves the world as it was. Answers the id to call with. */
async function prepare({ first, object }: RouteRow, { principal, whose }: Cell): Promise<string | undefined> {
  if (object === undefined || whose === null) return undefined;
  if (first === 'fresh') return world.fresh(object, whose, principal);
  const id = world.idOf(object, whose, principal)!;
  if (first === 'share') bodyOf(await world.call('platform admin', 'PUT', `/v1/devices/${id}/access/user:${GUEST}`, { role: 'viewer' }));
  if (first === 'secret') bodyOf(await world.call('platform admin', 'PUT', `/v1/secrets/${id}/${SECRET}`, { value: 'before' }));
  if (first === 'member') bodyOf(await world.call('platform admin', 'PUT', `/v1/orgs/${id}/members/${GUEST}`, { role: 'viewer' }));
  return id;
}

/** What a call that is to be refused names. Where only an object made anew is refused, that one. */
async function targetOfRefusal(row: RouteRow, { principal, whose }: Cell): Promise<string | undefined> {
  if (row.object === undefined || whose === null) return undefined;
  const hidden = due(row, { principal, whose }) === '404 not_found' && standingOf(principal, row.object, whose) !== 'none';
  return hidden && row.object === 'device' && row.first === 'fresh' && rowOf(principal).refused === undefined
    ? world.fresh(row.object, whose, principal)
    : world.idOf(row.object, whose, principal);
}

/** An answer whole, but for what differs from one request to the next and the id that was asked for. */
function wholeAnswer({ status, body, headers }: ApiAnswer, id: string): string {
  const kept = Object.entries(headers).filter(([name]) => name !== 'date' && !name.startsWith('x-ratelimit'));
  return JSON.stringify({ status, body, headers: kept }).replaceAll(id, 'ID').replaceAll(encodeURIComponent(id), 'ID');
}

async function inTurns<Item>(items: readonly Item[], width: number, work: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const turn = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, turn));
}

const rows = Object.entries(ROUTES);

describe('every route of /openapi.json', () => {
  it('has its place in the matrix, and the matrix has no route that is gone', async () => {
    const { paths } = bodyOf<{ paths: Record<string, Record<string, unknown>> }>(await world.api.call('GET', '/openapi.json'));
    const served = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const missing = served.filter((route) => !(route in ROUTES));
    const gone = Object.keys(ROUTES).filter((route) => !served.includes(route));
    expect
      .soft(missing, 'add a row to ROUTES in test/matrix/expectations.ts: whose credential it takes, and what it answers to whom')
      .toEqual([]);
    expect.soft(gone, 'these rows of ROUTES in test/matrix/expectations.ts are about routes that the relay does not have').toEqual([]);
  });

  it.each(rows)('%s answers to everybody, about every object, what it should', async (route, row) => {
    const answers: Record<string, string> = {};
    const expected = Object.fromEntries(cellsOf(row).map((cell) => [cellName(cell), due(row, cell)]));
    const isRefusal = (cell: Cell) => Number.parseInt(expected[cellName(cell)]!, 10) >= 400;
    // What does not exist is answered last for each, and what may not be seen must look the same.
    const unseen = new Map<PrincipalName, [Cell, string][]>();
    await inTurns(cellsOf(row).filter(isRefusal), AT_ONCE, async (cell) => {
      const id = await targetOfRefusal(row, cell);
      const answer = await callCell(route, row, { cell, id });
      answers[cellName(cell)] = short(answer);
      if (row.object === undefined || row.takes !== 'user' || standingOf(cell.principal, row.object, cell.whose!) !== 'none') return;
      unseen.set(cell.principal, [...(unseen.get(cell.principal) ?? []), [cell, wholeAnswer(answer, id!)]]);
    });
    // One after the other: two may need the same object as it was.
    await inTurns(
      cellsOf(row).filter((cell) => !isRefusal(cell)),
      1,
      async (cell) => {
        answers[cellName(cell)] = short(await callCell(route, row, { cell, id: await prepare(row, cell) }));
      },
    );
    expect(answers).toEqual(expected);
    for (const cells of unseen.values()) {
      const nothing = cells.find(([{ whose }]) => whose === 'absent')![1];
      for (const [cell, whole] of cells) expect(whole, `${cellName(cell)}: as of what does not exist`).toBe(nothing);
    }
  });

  it.each(rows.filter(([route]) => route.startsWith('GET /v1/')))('%s is as closed to HEAD', async (route, row) => {
    for (const principal of ['nobody', 'admin of another org', 'device key', 'disabled user'] as const) {
      const cell = { principal, whose: row.object === undefined ? null : ('org' as const) };
      const id = row.object && world.idOf(row.object, 'org', principal);
      if (row.object !== undefined && id === undefined) continue;
      const [get, head] = [await callCell(route, row, { cell, id }), await callCell(route.replace('GET', 'HEAD'), row, { cell, id })];
      expect(head.status, principal).toBe(get.status);
    }
  });
});

describe('every kind of stream', () => {
  it('has its place in the matrix', () => {
    const folder = join(ROOT, 'plugins');
    const offered = readdirSync(folder).flatMap((name) => {
      const { towline } = JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as {
        towline?: { plugins: { kind: string; name: string }[] };
      };
      return (towline?.plugins ?? []).filter(({ kind }) => kind === 'stream').map((plugin) => plugin.name);
    });
    expect(Object.keys(STREAMS).toSorted(), 'STREAMS in test/matrix/expectations.ts says how each kind is opened, and by whom').toEqual(
      offered.toSorted(),
    );
  });

  const dueOfStream = (row: StreamRow, principal: PrincipalName, whose: Whose) =>
    row.but?.[principal]?.[whose] ?? row.answers[standingOf(principal, 'device', whose)] ?? 'not_found';

  it.each(USERS)('is opened by %s where it should, and nowhere else', async (principal) => {
    await using link = await linkAs(world.relay, world.credentials.get(principal)!.sent!);
    const answers: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [kind, row] of Object.entries(STREAMS)) {
      const nothing = (await link.open(world.idOf('device', 'absent', principal)!, row)).whole;
      for (const whose of CLASSES.device) {
        const id = world.idOf('device', whose, principal);
        if (id === undefined) continue;
        const cell = `${kind}, ${whose}`;
        const { answer, whole } = await link.open(id, row);
        answers[cell] = answer;
        expected[cell] = dueOfStream(row, principal, whose);
        if (expected[cell] === 'not_found') expect(whole, `${cell}: as of what does not exist`).toBe(nothing);
      }
    }
    expect(answers).toEqual(expected);
  });

  it('opens sessions that whoever opened them may end, and others of the same standing may not', async () => {
    await using link = await linkAs(world.relay, world.credentials.get('org operator')!.sent!);
    const { answer, session } = await link.open(world.idOf('device', 'org', 'org operator')!, STREAMS.exec!);
    expect(answer).toBe('accepted');
    const end = async (principal: PrincipalName) => short(await world.call(principal, 'DELETE', `/v1/sessions/${session}`));
    expect(await end('user by basic')).toBe('403 forbidden');
    expect(await end('org viewer')).toBe('403 forbidden');
    expect(await end('admin of another org')).toBe('404 not_found');
    expect(await end('org operator')).toBe('202');
  });

  it('needs a link, which only the credential of a user that counts makes', async () => {
    const answers: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const principal of PRINCIPAL_NAMES.filter((name) => name !== 'nobody')) {
      answers[principal] = await outcomeOfLinking(world.relay, world.credentials.get(principal)!.sent!);
      expected[principal] = rowOf(principal).refused?.slice(4) ?? 'linked';
    }
    expect(answers).toEqual(expected);
  });
});

describe('a list', () => {
  const KINDS = ['device', 'session', 'registration', 'org', 'key'] as const;
  /** What each list may show: objects of which somebody has such a standing. */
  const LISTS: Readonly<Record<string, { readonly kind: ObjectKind; readonly to: readonly Standing[] }>> = {
    '/v1/devices?limit=500': {
      kind: 'device',
      to: ['platform', 'admin', 'operator', 'viewer', 'share admin', 'share operator', 'share viewer'],
    },
    '/v1/registrations?limit=500': { kind: 'registration', to: ['platform', 'admin', 'operator', 'viewer'] },
    '/v1/orgs?limit=500': { kind: 'org', to: ['platform', 'admin', 'operator', 'viewer'] },
    '/v1/keys?limit=500': { kind: 'key', to: [] },
    '/v1/keys?limit=500&all=true': { kind: 'key', to: ['platform', 'admin'] },
  };
  const PATHS = [...Object.keys(LISTS), '/v1/audit?limit=500'];
  /** Every object of the world that somebody has no standing on, whoever's it is. */
  const foreignTo = (principal: PrincipalName): [string, string][] =>
    KINDS.flatMap((kind) => {
      const others = PRINCIPAL_NAMES.filter((name) => name !== principal).map((name) => [
        `${kind} of ${name}`,
        world.idOf(kind, 'own', name),
      ]);
      const classes = CLASSES[kind]
        .filter((whose) => whose !== 'own' && whose !== 'absent' && standingOf(principal, kind, whose) === 'none')
        .map((whose) => [`${kind}, ${whose}`, world.idOf(kind, whose, principal)]);
      return [...others, ...classes].filter((pair): pair is [string, string] => pair[1] !== undefined);
    });

  it.each(USERS.filter((name) => rowOf(name).platform !== true))('never shows %s the id of an object of others', async (principal) => {
    const own = world.idOf('device', 'own', principal);
    const seen: string[] = [];
    for (const path of [...PATHS, `/v1/devices/${own}/sessions`]) {
      const answer = await world.call(principal, 'GET', path);
      const words = new Set(JSON.stringify(answer.body).split(/[^0-9a-z-]+/));
      for (const [what, id] of foreignTo(principal)) if (words.has(id)) seen.push(`${path}: ${what}`);
    }
    expect(seen).toEqual([]);
  });

  it.each(USERS)('shows %s what they have a standing on that suffices', async (principal) => {
    const missing: string[] = [];
    for (const [path, { kind, to }] of Object.entries(LISTS)) {
      const answer = await world.call(principal, 'GET', path);
      if (answer.status !== 200) continue;
      const text = JSON.stringify(answer.body);
      for (const whose of CLASSES[kind].filter((each) => to.includes(standingOf(principal, kind, each)))) {
        const id = world.idOf(kind, whose, principal);
        if (id !== undefined && !text.includes(`"${id}"`)) missing.push(`${path}: ${kind}, ${whose}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it.each(USERS.filter((name) => rowOf(name).platform !== true))(
    'of audit records shows %s those of the owners they are admin of',
    async (principal) => {
      const answer = await world.call(principal, 'GET', '/v1/audit?limit=500');
      const text = JSON.stringify(answer.body);
      const seen = CLASSES.device.filter((whose) => text.includes(world.idOf('device', whose, principal)!));
      const all = answer.status === 200 ? CLASSES.device.filter((whose) => standingOf(principal, 'device', whose) === 'admin') : [];
      expect(seen).toEqual(all);
    },
  );

  it('shows the key for one device nothing of another device of its owner', async () => {
    const seen: string[] = [];
    for (const path of PATHS) {
      const answer = await world.call('key for one device', 'GET', path);
      if (JSON.stringify(answer.body).includes(world.secondDevice)) seen.push(path);
    }
    expect(seen).toEqual([]);
    const audit = async (device: string) => short(await world.call('key for one device', 'GET', `/v1/audit?device=${device}`));
    expect(await audit(world.idOf('device', 'own', 'key for one device')!)).toBe('200');
    expect(await audit(world.secondDevice)).toBe(await audit(world.idOf('device', 'absent', 'key for one device')!));
    for (const verb of ['', '/sessions', '/access']) {
      expect(short(await world.call('key for one device', 'GET', `/v1/devices/${world.secondDevice}${verb}`))).toBe('404 not_found');
    }
  });
});

describe('the names of secrets', () => {
  it.each(USERS)('are listed for %s of the scopes that are held, in whatever role', async (principal) => {
    for (const whose of CLASSES.scope) {
      const scope = world.idOf('scope', whose, principal);
      if (scope === undefined || whose === 'absent') continue;
      bodyOf(await world.call('platform admin', 'PUT', `/v1/secrets/${scope}/${SECRET}`, { value: 'listed' }));
      const { items } = bodyOf<{ items: { scope: string; name: string }[] }>(
        await world.call(principal, 'GET', `/v1/secrets?scope=${scope}&limit=500`),
      );
      const due = standingOf(principal, 'scope', whose) === 'none' ? [] : [{ scope, name: SECRET }];
      expect(
        items.map((each) => ({ scope: each.scope, name: each.name })),
        whose,
      ).toEqual(due);
    }
  });
});

describe('a secret of the owner of a device', () => {
  const ownerOf = (whose: Whose, principal: PrincipalName) =>
    whose === 'lent' ? world.lender : world.idOf('scope', whose === 'deleted' ? 'absent' : whose, principal);
  const MAY_OPEN: readonly Standing[] = ['platform', 'admin', 'operator', 'share admin', 'share operator'];

  function dueOfSecret(principal: PrincipalName, whose: Whose): string {
    const standing = standingOf(principal, 'device', whose);
    if (standing === 'none') return 'not_found';
    if (!MAY_OPEN.includes(standing)) return 'forbidden';
    // Neither a share of the device nor a key for it gives anything of what its owner has besides.
    return standing.startsWith('share') || rowOf(principal).limit === 'own device' ? 'not_found' : 'accepted';
  }

  it.each(USERS)('is given to sessions of %s where it should, and otherwise answered as one that does not exist', async (principal) => {
    await using link = await linkAs(world.relay, world.credentials.get(principal)!.sent!);
    const answers: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const whose of CLASSES.device) {
      const [id, scope] = [world.idOf('device', whose, principal), ownerOf(whose, principal)];
      if (id === undefined || scope === undefined) continue;
      if (whose !== 'absent') bodyOf(await world.call('platform admin', 'PUT', `/v1/secrets/${scope}/${SECRET}`, { value: 'given' }));
      const open = (name: string) =>
        link.open(id, { protocol: '/exec/1', body: { argv: ['true'], stdin: false, secrets: [`${scope}/${name}`] } });
      const { answer, whole } = await open(SECRET);
      answers[whose] = answer;
      expected[whose] = dueOfSecret(principal, whose);
      if (answer === 'not_found') expect(whole.replaceAll(SECRET, 'X_SECRET'), whose).toBe((await open('X_SECRET')).whole);
    }
    expect(answers).toEqual(expected);
  });
});

describe('a name inside a request', () => {
  const strip = (answer: ApiAnswer, name: string) => JSON.stringify({ status: answer.status, body: answer.body }).replaceAll(name, 'NAME');
  /** Requests in which somebody names an organisation: that of others and one that does not exist must look the same. */
  const NAMING: Readonly<Record<string, (org: string, own: string) => readonly [string, string, unknown?]>> = {
    'as the target of a transfer': (org, own) => ['POST', `/v1/devices/${own}/transfer`, { owner: `org:${org}` }],
    'as the owner of an enrolment key': (org) => ['POST', '/v1/keys', { kind: 'enrolment', owner: `org:${org}` }],
    'as the scope of a key': (org) => ['POST', '/v1/keys', { scopes: [{ scope: `org:${org}`, role: 'viewer' }] }],
    'as a new organisation': (org) => ['POST', '/v1/orgs', { id: org }],
    'as a filter of devices': (org) => ['GET', `/v1/devices?scope=org:${org}`],
    'as a filter of secrets': (org) => ['GET', `/v1/secrets?scope=org:${org}`],
    'as the scope of a secret': (org) => ['DELETE', `/v1/secrets/org:${org}/${SECRET}`],
    'as a device by its name': (org) => ['GET', `/v1/devices/${org}-pi`],
  };

  it.each(Object.entries(NAMING))('%s does not tell whether it exists', async (_what, make) => {
    for (const principal of ['user by OIDC', 'user by basic', 'org admin', 'share admin'] as const) {
      const own = world.idOf('device', 'own', principal)!;
      const [foreign, absent] = [world.idOf('org', 'foreign', principal)!, world.idOf('org', 'absent', principal)!];
      const ask = async (org: string) => strip(await world.call(principal, ...make(org, own)), org);
      expect(await ask(foreign), principal).toBe(await ask(absent));
    }
  });
});
