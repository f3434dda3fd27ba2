import { text } from 'node:stream/consumers';
import {
  createApiKeyText,
  createId,
  deriveGrantKey,
  deviceOpen,
  encodeJson,
  publishGrantKeys,
  relayOpen,
  type SessionId,
  TowlineError,
} from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { begin, online, relayId } from './linked.ts';
import { testGrantKey } from './relay-side.ts';

describe('a device on its link', () => {
  it('proves itself, says what it serves, and learns its name and the time', async () => {
    const { relay, device } = await online();
    await relay.codeOf(relay.open({}, { protocol: '/echo/1' }));
    expect(relay.proof).toMatchObject({
      device: device.host.identity.deviceId,
      serves: ['/echo/1', '/program/1', '/light/1'],
      sessions: [],
    });
    expect(device.stored.online).toMatchObject([{ relayId, name: 'greenhouse' }]);
  });

  it('serves a session and reports its start and end with bytes and exit code', async () => {
    const { relay } = await online();
    const { session } = await relay.openSession({}, '/echo/1');
    session.output(0).end('there and back');
    expect(await text(session.input(0))).toBe('there and back');
    expect(await session.result).toEqual({ reason: 'exited', exit_code: 7 });
    expect(await relay.endOf(session.id)).toMatchObject({
      bytes_to_device: 14,
      bytes_from_device: 14,
      end: { reason: 'exited', exit_code: 7 },
    });
    expect(relay.journal.map((entry) => [entry.type, entry.number, entry.session])).toEqual([
      ['start', 1, session.id],
      ['end', 2, session.id],
    ]);
  });

  it('serves a stream that the relay opens right behind its welcome', async () => {
    const { relay } = await begin();
    await relay.challenge();
    relay.control.send({
      type: 'welcome',
      level: 1,
      device: relay.proof.device,
      name: 'd',
      time_ms: Date.now(),
      grant_keys: publishGrantKeys([testGrantKey]),
      journal_received: 0,
    });
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
  });

  it('counts the expiry of grants by the relay’s clock, however wrong its own is', async () => {
    const yearsAgo = Date.now() - 1e11;
    const { relay } = await online({}, { welcome: { time_ms: yearsAgo } });
    const open = deviceOpen.encode({ protocol: '/echo/1', session: createId<SessionId>(), body: {} }).toString();
    const at = (expires_ms: number) =>
      relay.codeOf(relay.openRaw(relayOpen.encode({ grant: relay.grant(open, { protocol: '/echo/1', expires_ms }), open })));
    expect(await at(yearsAgo + 30_000)).toBe('accepted');
    expect(await at(yearsAgo - 1)).toBe('grant_expired');
    expect(await at(Date.now() + 30_000)).toBe('grant_invalid');
  });
});

describe('a relay that is not the right one, or does not keep to the protocol', () => {
  it('is refused when its id is not the enrolled one, before anything is signed for it', async () => {
    const { relay, ended } = await begin({}, { relay: createId() as string });
    await expect(relay.challenge()).rejects.toMatchObject({ code: 'relay_untrusted' });
    expect(await ended).toBe('relay_untrusted');
  });

  it('is refused when it welcomes another device', async () => {
    const { relay, ended } = await begin({}, { welcome: { device: createId() as string } });
    await relay.logIn();
    expect(await ended).toBe('protocol_error');
  });

  it('is refused when it opens another stream before the control stream', async () => {
    const { relay, ended } = await begin();
    const stream = relay.link.openStream(encodeJson({ protocol: '/echo/1' }));
    stream.on('error', () => undefined);
    expect(await ended).toBe('protocol_error');
  });

  it('is refused when its first message is malformed or of the wrong kind', async () => {
    const { relay, ended } = await begin();
    const stream = relay.link.openStream(encodeJson({ protocol: '/control/1' }));
    stream.on('error', () => undefined);
    stream.write(Buffer.from('\0\0\0\u0002{}'));
    expect(await ended).toBe('protocol_error');
    const other = await begin();
    await other.relay.challenge();
    other.relay.control.send({ type: 'journal_ack', received: 1 });
    expect(await other.ended).toBe('protocol_error');
  });

  it('is refused when it asks for proof twice', async () => {
    const { relay, ended } = await online();
    relay.control.send({ type: 'challenge', level: 1, relay: relayId, nonce: 'x'.repeat(32) });
    expect(await ended).toBe('protocol_error');
  });

  it('ends the link by a goodbye, whose code the device goes by', async () => {
    const { relay, ended } = await online();
    relay.control.send({ type: 'goodbye', code: 'device_removed', message: 'Removed by Ada.', hint: '' });
    expect(await ended).toBe('device_removed');
  });

  it('may say goodbye before its welcome', async () => {
    const { relay, ended } = await begin();
    await relay.challenge();
    relay.control.send({ type: 'goodbye', code: 'key_revoked', message: 'Revoked.', hint: '' });
    expect(await ended).toBe('key_revoked');
  });
});

describe('keys of the relay', () => {
  const next = deriveGrantKey('the next forward secret of the test relay');

  it('change to one that a held key vouches for, which is kept', async () => {
    const { relay, device } = await online();
    const ring = publishGrantKeys([next, testGrantKey]);
    relay.control.send({ type: 'grant_keys', grant_keys: ring });
    relay.control.send({ type: 'rotate', api_key: createApiKeyText('device').text });
    await relay.until(() => relay.messages.some((message) => message.type === 'rotated'));
    expect(device.stored.grantKeys).toEqual([ring]);
    const open = deviceOpen.encode({ protocol: '/echo/1', session: createId<SessionId>(), body: {} }).toString();
    const grant = relay.grant(open, { protocol: '/echo/1', key: next.id }, next);
    expect(await relay.codeOf(relay.openRaw(relayOpen.encode({ grant, open })))).toBe('accepted');
  });

  it('that no held key vouches for are not believed, and the log says what to do', async () => {
    const { relay, device } = await online({}, { grantKey: next, grantKeys: publishGrantKeys([next]) });
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('grant_invalid');
    expect(device.lines.join('\n')).toMatch(/error .*approved again/);
  });

  it('are taken as they are by a device whose credential was put there by hand', async () => {
    const { relay, device } = await online({ known: undefined });
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
    expect(device.stored.online).toMatchObject([{ relayId, grantKeys: publishGrantKeys([testGrantKey]) }]);
  });

  it('for the API are stored before the relay hears of it', async () => {
    const { relay, device } = await online();
    const key = createApiKeyText('device');
    relay.control.send({ type: 'rotate', api_key: key.text });
    await relay.until(() => relay.messages.length > 0);
    expect(relay.messages).toEqual([{ type: 'rotated', key_id: key.id }]);
    expect(device.stored.apiKeys).toEqual([key.text]);
  });

  it('for the API that cannot be stored are not answered, and the old one stays', async () => {
    const full = { storeApiKey: () => Promise.reject(new TowlineError('data_unwritable')) };
    const { relay, device } = await online(full);
    relay.control.send({ type: 'rotate', api_key: createApiKeyText('device').text });
    const { session } = await relay.openSession({}, '/echo/1');
    session.output(0).end();
    await relay.endOf(session.id);
    expect(relay.messages.filter((message) => message.type === 'rotated')).toEqual([]);
    expect(device.lines.join('\n')).toContain('could not be stored');
  });

  it('of a user are not taken for the device’s', async () => {
    const { relay, device, ended } = await online();
    relay.control.send({ type: 'rotate', api_key: createApiKeyText('user').text });
    expect(await ended).toBe('protocol_error');
    expect(device.stored.apiKeys).toEqual([]);
  });
});
