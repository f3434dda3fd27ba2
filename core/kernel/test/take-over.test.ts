import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteStream, DeviceView, ListView, SessionView } from '@towline/contract';
import { readMessage } from '@towline/link';
import { clientOpen, createId, type DeviceToRelay, MAX_CONTROL_MESSAGE, openAnswer, parseApiKey, type SessionId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkClient, type RawClient } from '../../../test/support/raw-client.ts';
import { dialDevice, type EnrolledRawDevice, enrolRawDevice } from '../../../test/support/raw-device.ts';
import { inTime } from '../../../test/support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from '../../../test/support/relay-api.ts';
import { endRelay, runRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import { storedTrail } from '../../../test/support/stored.ts';
import { eventually, type TestRelay } from '../../../test/support/system.ts';
import { type LoggedIn, logInAs, type RawLogin } from './raw-login.ts';

/** A revocation takes effect within a second, an idle link ends within four; the rest is room for a loaded machine. */
const AT_ONCE_MS = 8_000;

let dir: string;
let relay: TestRelay;
let api: RelayApi;
let client: RawClient;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'towline-take-over-'));
  relay = await startRelayOn(join(dir, 'data'));
  api = openApi(relay);
  client = await linkClient(relay, relay.adminKey);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens a session and leaves its stream to the test. */
async function openOn(device: string): Promise<ByteStream> {
  const open = { device, session: createId<SessionId>(), protocol: '/exec/1', body: { argv: ['true'], stdin: false } };
  const stream = client.link.openStream(clientOpen.encode(open));
  stream.on('error', () => {});
  const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(AT_ONCE_MS)));
  expect(answer.status).toBe('accepted');
  return stream;
}

interface Runtime {
  readonly device: EnrolledRawDevice;
  readonly instance: SessionId;
  link(login?: Partial<RawLogin>, key?: string): Promise<LoggedIn>;
}

async function enrol(name: string): Promise<Runtime> {
  const device = await enrolRawDevice(api, { name, owner: 'user:admin@example.com' });
  const instance = createId<SessionId>();
  const link = async (login: Partial<RawLogin> = {}, key = device.apiKey) =>
    logInAs(await dialDevice(relay, key), { identity: device.identity, instance, ...login });
  return { device, instance, link };
}

/** A device with a session on its first link, beside which a second one took over. */
async function takenOver(name: string) {
  const runtime = await enrol(name);
  const older = await runtime.link();
  expect(await client.open(name)).toBe('accepted');
  const session = client.sessions.at(-1)!;
  const newer = await runtime.link({ beside: true, sessions: [session] });
  expect(newer.answer).toMatchObject({ type: 'welcome' });
  return { ...runtime, older, newer, session };
}

const show = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey }));
const isOver = ({ link }: LoggedIn) => inTime(link.closed, 'the end of a link', AT_ONCE_MS);
const pause = (ms: number) => new Promise((later) => setTimeout(later, ms));
const stillOpen = async (...links: LoggedIn[]) => {
  // A round trip after anything that could have ended it.
  for (const { link } of links) await link.ping(AbortSignal.timeout(AT_ONCE_MS));
};
const closing = (session: SessionId) =>
  storedTrail(relay.dir).filter((record) => record.session === session && record.action === 'session.closed');
/** What a device says of a session that ended with code 7. */
const report = (session: SessionId): DeviceToRelay => ({
  type: 'journal',
  entries: [
    {
      type: 'end',
      number: 1,
      session,
      age_ms: 0,
      bytes_to_device: 3,
      bytes_from_device: 4,
      end: { reason: 'exited', exit_code: 7 },
    },
  ],
});

describe('a link that comes beside an older one of the same runtime', () => {
  it('is where all is opened from then on, while what was opened before goes on on the older one', async () => {
    const { link } = await enrol('mover');
    const older = await link();
    const stream = await openOn('mover');
    const newer = await link({ beside: true });
    expect(await client.open('mover')).toBe('accepted');
    expect([older.openings.length, newer.openings.length]).toEqual([1, 1]);
    await pause(5_000);
    const answered = once(stream, 'data');
    older.openings[0]!.write('still here');
    expect(String((await inTime(answered, 'what the device says'))[0])).toBe('still here');
    older.openings[0]!.end();
    stream.end();
    expect(await older.goodbye).toMatchObject({ code: 'link_closed', message: expect.stringContaining('took over') });
    expect(await isOver(older)).toMatchObject({ code: 'link_closed', by: 'peer' });
    await stillOpen(newer);
    expect((await show('mover')).online).toBe(true);
    expect(await client.open('mover')).toBe('accepted');
    await newer.link.close('link_closed');
    await eventually(async () => !(await show('mover')).online, 'it is offline');
  });

  it('is shown, with what the device says of its transport; where nothing was open, the older one ends by itself', async () => {
    const runtime = await enrol('teller');
    const older = await runtime.link({ transportNote: 'QUIC: no answer on UDP\u0007' });
    expect((await show('teller')).link).toMatchObject({ transport: 'tls', transport_note: 'QUIC: no answer on UDP\u0007' });
    await using newer = await runtime.link({ beside: true });
    const { link } = await show('teller');
    expect(link).not.toHaveProperty('transport_note');
    expect(await isOver(older)).toMatchObject({ code: 'link_closed' });
    await stillOpen(newer);
    const { items } = bodyOf<ListView<DeviceView>>(await api.call('GET', '/v1/devices', { key: relay.adminKey }));
    expect(items.find(({ name }) => name === 'teller')?.link).toEqual(link);
  });

  it('may be lost first: then the older one is the device’s link again', async () => {
    const { older, newer } = await takenOver('returner');
    await newer.link.close('link_closed');
    await eventually(
      async () => (await client.open('returner')) === 'accepted' && older.openings.length > 1,
      'it is opened on the older one',
    );
    for (const stream of older.openings) stream.destroy();
    // It does not retire any more.
    await pause(5_000);
    await stillOpen(older);
    expect((await show('returner')).online).toBe(true);
    await older.link.close('link_closed');
  });

  it('keeps one older link: the one before that ends', async () => {
    const { older, newer, link } = await takenOver('climber');
    expect(await client.open('climber')).toBe('accepted');
    await using newest = await link({ beside: true });
    expect(await isOver(older)).toMatchObject({ code: 'device_lost' });
    await stillOpen(newer, newest);
    await newer.link.close('link_closed');
  });

  it.each([
    ['that does not say so', 'plain', {}, 'device_lost'],
    ['of another runtime that says so', 'liar', { beside: true, instance: createId<SessionId>() }, 'device_replaced'],
  ] as const)('keeps none when it is one %s: they end at once', async (_what, name, login, code) => {
    const { older, newer, link } = await takenOver(name);
    await using other = await link(login);
    expect(other.answer).toMatchObject({ type: 'welcome' });
    for (const each of [older, newer]) expect(await isOver(each)).toMatchObject({ code });
    expect((await show(name)).online).toBe(true);
  });

  it('is not unregistered by the older one that ends late', async () => {
    const { older, newer } = await takenOver('late');
    await older.link.close('link_closed');
    await pause(300);
    expect((await show('late')).online).toBe(true);
    expect(await client.open('late')).toBe('accepted');
    expect(newer.openings).toHaveLength(1);
    await newer.link.close('link_closed');
  });
});

describe('what must reach a device reaches both of its links', () => {
  it('its removal', async () => {
    const { older, newer } = await takenOver('removed');
    expect((await api.call('DELETE', '/v1/devices/removed', { key: relay.adminKey })).status).toBe(204);
    for (const each of [older, newer]) expect(await isOver(each)).toMatchObject({ code: 'device_removed' });
  });

  it('the revocation of its key', async () => {
    const { older, newer, device } = await takenOver('revoked');
    const { id } = parseApiKey(device.apiKey)!;
    expect((await runRelay(['keys', 'revoke', id, '--data', relay.dir])).code).toBe(0);
    for (const each of [older, newer]) expect(await isOver(each)).toMatchObject({ code: 'key_revoked' });
  });

  it('the revocation of a key that came by rotation, whichever of them took it up; the rotation itself ends neither', async () => {
    const { older, newer } = await takenOver('rotated');
    const { key_id } = bodyOf<{ key_id: string }>(await api.call('POST', '/v1/devices/rotated/rotate', { key: relay.adminKey }));
    await eventually(async () => newer.said.some(({ type }) => type === 'rotate'), 'the new key arrives');
    older.control.send({ type: 'rotated', key_id });
    await pause(1_500);
    await stillOpen(older, newer);
    expect((await runRelay(['keys', 'revoke', key_id, '--data', relay.dir])).code).toBe(0);
    for (const each of [older, newer]) expect(await isOver(each)).toMatchObject({ code: 'key_revoked' });
  });

  it('the revocation of a newer key with which the later of them came', async () => {
    const { older, newer, link } = await takenOver('renewed');
    const { key_id } = bodyOf<{ key_id: string }>(await api.call('POST', '/v1/devices/renewed/rotate', { key: relay.adminKey }));
    await eventually(async () => newer.said.some(({ type }) => type === 'rotate'), 'the new key arrives');
    await using newest = await link({ beside: true }, newer.said.find((message) => message.type === 'rotate')!.api_key);
    expect(newest.answer).toMatchObject({ type: 'welcome' });
    await pause(1_500);
    // That the key they came with is superseded ends neither.
    await stillOpen(older, newest);
    expect((await runRelay(['keys', 'revoke', key_id, '--data', relay.dir])).code).toBe(0);
    for (const each of [older, newest]) expect(await isOver(each)).toMatchObject({ code: 'key_revoked' });
  });

  it('new grant keys', async () => {
    const { older, newer } = await takenOver('granted');
    expect((await runRelay(['grants', 'rotate', '--data', relay.dir])).code).toBe(0);
    for (const { said } of [older, newer])
      await eventually(async () => said.some(({ type }) => type === 'grant_keys'), 'the new keys arrive');
    await Promise.all([older, newer].map(({ link }) => link.close('link_closed')));
  });

  it('the end of a session', async () => {
    const { older, newer, session } = await takenOver('ended');
    expect((await api.call('DELETE', `/v1/sessions/${session}`, { key: relay.adminKey })).status).toBe(202);
    for (const { said } of [older, newer])
      await eventually(async () => said.some((message) => message.type === 'end_session' && message.session === session), 'it is told');
    // The device does nothing: the relay breaks the stream, and the link on which nothing is left ends.
    expect(await isOver(older)).toMatchObject({ code: 'link_closed' });
    await stillOpen(newer);
    await newer.link.close('link_closed');
  });

  it('the relay’s leave', async () => {
    await using other = await startRelayOn(join(dir, 'other'));
    using otherApi = openApi(other);
    const device = await enrolRawDevice(otherApi, { name: 'pi', owner: 'user:admin@example.com' });
    const instance = createId<SessionId>();
    const login = async (beside: boolean) =>
      logInAs(await dialDevice(other, device.apiKey), { identity: device.identity, instance, beside });
    const older = await login(false);
    await using otherClient = await linkClient(other, other.adminKey);
    expect(await otherClient.open('pi')).toBe('accepted');
    const newer = await login(true);
    const { code } = await endRelay(other, 'SIGTERM');
    expect(code).toBe(0);
    for (const each of [older, newer]) {
      expect(await isOver(each)).toMatchObject({ code: 'unavailable' });
      expect(await each.goodbye).toMatchObject({ code: 'unavailable', message: 'The relay is stopping.' });
    }
  });
});

describe('the books of a session on the older link', () => {
  it('are closed by what the device reports, on whichever link, once', async () => {
    const { older, newer, session } = await takenOver('booked');
    older.control.send(report(session));
    newer.control.send(report(session));
    for (const { said } of [older, newer])
      await eventually(async () => said.some((message) => message.type === 'journal_ack' && message.received === 1), 'it is acknowledged');
    older.openings[0]!.destroy();
    await isOver(older);
    expect(closing(session)).toMatchObject([{ outcome: 'ok', exitCode: 7, reportedBy: 'device' }]);
    await newer.link.close('link_closed');
  });

  it('hold what the device notes while it runs, each note once and no more than a bound, and nothing of another device', async () => {
    const { older, newer, session } = await takenOver('noting');
    const stranger = await (await enrol('stranger')).link();
    const noteTo = ({ control }: LoggedIn, numbers: readonly number[]) =>
      control.send({
        type: 'journal',
        entries: numbers.map((number) => ({
          type: 'note',
          number,
          session,
          age_ms: 0,
          outcome: 'ok',
          detail: { operation: 'write', path: `/file-${number}` },
        })),
      });
    const acknowledged = ({ said }: LoggedIn, number: number) =>
      eventually(
        async () => said.some((message) => message.type === 'journal_ack' && message.received === number),
        `${number} is acknowledged`,
      );
    noteTo(stranger, [1]);
    await acknowledged(stranger, 1);
    noteTo(older, [1, 2]);
    noteTo(newer, [1, 2]);
    await Promise.all([acknowledged(older, 2), acknowledged(newer, 2)]);
    for (let from = 3; from < 1_203; from += 400) {
      const numbers = Array.from({ length: 400 }, (_, at) => from + at);
      noteTo(newer, numbers);
      await acknowledged(newer, numbers.at(-1)!);
    }
    const notes = storedTrail(relay.dir).filter((record) => record.session === session && record.action === 'session.noted');
    expect(notes).toHaveLength(1_000);
    expect(notes.slice(0, 3).map(({ detail }) => detail?.path)).toEqual(['/file-1', '/file-2', '/file-3']);
    expect(notes[0]).toMatchObject({ reportedBy: 'device', device: { name: 'noting' }, outcome: 'ok' });
    older.openings[0]!.destroy();
    await newer.link.close('link_closed');
  }, 60_000);

  it('stay open while it runs, although the new link did not name it, and are closed by the relay when the device reports nothing', async () => {
    const runtime = await enrol('silent');
    const older = await runtime.link();
    expect(await client.open('silent')).toBe('accepted');
    const session = client.sessions.at(-1)!;
    // As when the session was opened while the device was on its way with its proof.
    const newer = await runtime.link({ beside: true, sessions: [] });
    await pause(12_000);
    expect(closing(session)).toEqual([]);
    await stillOpen(older, newer);
    const { items } = bodyOf<ListView<SessionView>>(await api.call('GET', '/v1/devices/silent/sessions', { key: relay.adminKey }));
    expect(items.map(({ id }) => id)).toEqual([session]);
    older.openings[0]!.destroy();
    await isOver(older);
    const records = await eventually(async () => closing(session).length > 0 && closing(session), 'the relay closes it', 15_000);
    expect(records).toMatchObject([{ outcome: 'interrupted', reportedBy: 'relay' }]);
    await newer.link.close('link_closed');
  }, 60_000);
});
