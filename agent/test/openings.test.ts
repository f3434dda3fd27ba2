import { text } from 'node:stream/consumers';
import { accountOf, createId, deriveGrantKey, deviceOpen, encodeJson, relayOpen, type SessionId } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { SessionJournal } from '../src/journal.ts';
import { LiveSessions } from '../src/live-sessions.ts';
import { online } from './linked.ts';
import { testGrantKey } from './relay-side.ts';

describe('an opening that is not in order is refused', () => {
  const open = (changes: object = {}) =>
    deviceOpen.encode({ protocol: '/echo/1', session: createId<SessionId>(), body: {}, ...changes }).toString();
  const stranger = deriveGrantKey('somebody else altogether');

  it.each([
    ['without a grant', () => encodeJson({ protocol: '/echo/1' }), 'protocol_error'],
    ['with a head that is no JSON', () => Buffer.from([0xff, 0xfe, 0]), 'protocol_error'],
    ['with a head of one byte', () => Buffer.alloc(1), 'protocol_error'],
    ['like a second control stream', () => encodeJson({ protocol: '/control/1' }), 'protocol_error'],
    ['with a grant of text', () => relayOpen.encode({ grant: 'let me in', open: open() }), 'grant_invalid'],
    ['with a bomb of brackets', () => Buffer.from(`{"grant":"x","open":${'['.repeat(20_000)}`), 'protocol_error'],
  ])('%s', async (_what, head, code) => {
    const { relay } = await online();
    expect(await relay.codeOf(relay.openRaw(head()))).toBe(code);
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
  });

  it('when its grant is forged, of another device, link, kind or message', async () => {
    const { relay } = await online();
    const text = open();
    const codes = await Promise.all(
      [
        relay.grant(text, { protocol: '/echo/1', key: stranger.id }, stranger),
        relay.grant(text, { protocol: '/echo/1', key: testGrantKey.id }, stranger),
        relay.grant(text, { protocol: '/echo/1', device: createId() as string }),
        relay.grant(text, { protocol: '/echo/1', nonce: 'of-another-link-0000' }),
        relay.grant(text, { protocol: '/program/1' }),
        relay.grant(open(), { protocol: '/echo/1' }),
      ].map((grant) => relay.codeOf(relay.openRaw(relayOpen.encode({ grant, open: text })))),
    );
    expect(codes).toEqual(Array(6).fill('grant_invalid'));
  });

  it('when its grant was used before', async () => {
    const { relay } = await online();
    const text = open();
    const head = relayOpen.encode({ grant: relay.grant(text, { protocol: '/echo/1' }), open: text });
    expect(await relay.codeOf(relay.openRaw(head))).toBe('accepted');
    expect(await relay.codeOf(relay.openRaw(head))).toBe('grant_replayed');
  });

  it('when its grant is from before a reconnect, though it was never used', async () => {
    const first = await online();
    const text = open();
    const grant = first.relay.grant(text, { protocol: '/echo/1' });
    first.cut();
    await first.ended;
    const second = await online({}, {}, first.device);
    expect(await second.relay.codeOf(second.relay.openRaw(relayOpen.encode({ grant, open: text })))).toBe('grant_invalid');
  });

  it('when nothing serves its protocol, its body is wrong, or it asks to resume', async () => {
    const { relay } = await online();
    expect(await relay.codeOf(relay.open({}, { protocol: '/telnet/1' }))).toBe('stream_not_served');
    expect(await relay.codeOf(relay.open({ what: 'is this' }, { protocol: '/echo/1' }))).toBe('invalid_request');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1', resume: { received: 0 } }))).toBe('not_found');
    expect(await relay.codeOf(relay.open({ refuse: true }, { protocol: '/echo/1' }))).toBe('internal');
  });

  it('when it would run programs on a root runtime that was not told as whom', async () => {
    const { relay } = await online({ isRoot: true });
    expect(await relay.codeOf(relay.open({}, { protocol: '/program/1' }))).toBe('run_as_required');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
    const told = await online({ isRoot: true, runAs: 'root' });
    expect(await told.relay.codeOf(told.relay.open({}, { protocol: '/program/1' }))).toBe('accepted');
  });

  it('when a session of its id is open, or too many are', async () => {
    const { relay } = await online({ sessions: new LiveSessions(2) });
    const { session } = await relay.openSession({ hang: true }, '/echo/1');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1', session: session.id }))).toBe('conflict');
    const second = await relay.openSession({ hang: true }, '/echo/1');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('session_limit');
    second.session.cancel();
    await relay.endOf(second.session.id);
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
  });

  it('when too many connections are open, which sessions do not count towards', async () => {
    const { relay } = await online({ sessions: new LiveSessions(1, 2) });
    await relay.openSession({ hang: true }, '/light/1');
    const { session } = await relay.openSession({ hang: true }, '/light/1');
    expect(await relay.codeOf(relay.open({}, { protocol: '/light/1' }))).toBe('session_limit');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
    session.cancel();
    await relay.endOf(session.id);
    expect(await relay.codeOf(relay.open({}, { protocol: '/light/1' }))).toBe('accepted');
  });

  it('when an account has its share; another of the same label has its own', async () => {
    const { relay } = await online({ sessions: new LiveSessions(4) });
    const by = async (name: string) => {
      const text = open({ body: { hang: true } });
      const grant = relay.grant(text, { protocol: '/echo/1', account: accountOf(name) });
      const { answer } = await relay.openRaw(relayOpen.encode({ grant, open: text }));
      return answer.status === 'refused' ? answer.code : answer.status;
    };
    for (const _ of [1, 2, 3]) expect(await by('ada')).toBe('accepted');
    expect(await by('ada')).toBe('session_limit');
    expect(await by('other ada')).toBe('accepted');
  });

  it('and what was prepared for whoever has left meanwhile is given back, with its place', async () => {
    const { relay, device } = await online({ sessions: new LiveSessions(1) });
    const text = open({ body: { linger: true } });
    const stream = relay.link.openStream(relayOpen.encode({ grant: relay.grant(text, { protocol: '/echo/1' }), open: text }));
    stream.on('error', () => undefined);
    await expect.poll(() => device.host.sessions.ids).toHaveLength(1);
    stream.destroy();
    await expect.poll(() => device.lines.join('\n')).toContain('abandoned');
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
  });

  it('when the relay takes no note of what sessions did', async () => {
    const journal = new SessionJournal({ monotonicMs: () => performance.now(), maxEntries: 4 });
    const { relay } = await online({ journal }, { acknowledge: false });
    for (let at = 0; at < 2; at += 1) {
      const { session } = await relay.openSession({}, '/echo/1');
      session.output(0).end();
      await relay.endOf(session.id);
    }
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('session_limit');
    relay.control.send({ type: 'journal_ack', received: 4 });
    // Messages and openings travel on different streams: ask until the acknowledgement has arrived.
    await journal.whenEmpty(AbortSignal.timeout(5_000));
    expect(await relay.codeOf(relay.open({}, { protocol: '/echo/1' }))).toBe('accepted');
  });

  it('and a flood of them harms neither the link nor a session on it', async () => {
    const { relay, device } = await online();
    const { session } = await relay.openSession({}, '/echo/1');
    const head = relayOpen.encode({ grant: 'nonsense', open: open() });
    const codes = await Promise.all(Array.from({ length: 500 }, () => relay.codeOf(relay.openRaw(head))));
    expect(new Set(codes)).toEqual(new Set(['grant_invalid']));
    session.output(0).end('still here');
    expect(await text(session.input(0))).toBe('still here');
    expect(device.host.sessions.ids.length).toBeLessThanOrEqual(1);
  });
});
