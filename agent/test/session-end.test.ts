import { TowlineError } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { online } from './linked.ts';

describe('the end of a session is told as it was', () => {
  it('broken, when its stream breaks', async () => {
    const { relay } = await online();
    const { session, stream } = await relay.openSession({ hang: true }, '/echo/1');
    stream.destroy(new TowlineError('device_lost'));
    expect((await relay.endOf(session.id)).end).toMatchObject({ reason: 'broken', signal: 'SIGHUP' });
  });

  it('ended, when the client cancels', async () => {
    const { relay } = await online();
    const { session } = await relay.openSession({ hang: true }, '/echo/1');
    session.cancel();
    expect((await relay.endOf(session.id)).end.reason).toBe('ended');
  });

  it('ended or limit, when the relay says so, and the client sees that the relay did', async () => {
    const { relay } = await online();
    const [one, two] = [await relay.openSession({ hang: true }, '/echo/1'), await relay.openSession({ hang: true }, '/echo/1')];
    relay.control.send({ type: 'end_session', session: one.session.id, code: 'access_ended', message: 'The share was withdrawn.' });
    relay.control.send({ type: 'end_session', session: two.session.id, code: 'session_idle', message: 'Idle for too long.' });
    await expect(one.session.result).rejects.toMatchObject({ code: 'access_ended' });
    expect((await relay.endOf(one.session.id)).end).toMatchObject({
      reason: 'ended',
      code: 'access_ended',
      message: 'The share was withdrawn.',
    });
    expect((await relay.endOf(two.session.id)).end).toMatchObject({ reason: 'limit', code: 'session_idle', message: 'Idle for too long.' });
  });

  it('failed, when the handler breaks', async () => {
    const { relay } = await online();
    const { session } = await relay.openSession({ fail: true }, '/echo/1');
    expect((await session.result).reason).toBe('failed');
    expect((await relay.endOf(session.id)).end.reason).toBe('failed');
  });

  it('broken, when the link is lost, and reported on the next link with its age', async () => {
    const first = await online();
    const { session } = await first.relay.openSession({ hang: true }, '/echo/1');
    first.cut();
    await first.ended;
    const second = await online({}, {}, first.device);
    const end = await second.relay.endOf(session.id);
    expect(end.end.reason).toBe('broken');
    expect(end.age_ms).toBeGreaterThan(0);
  });

  it('again and again on each link, until the relay has taken note', async () => {
    const first = await online({}, { acknowledge: false });
    const { session } = await first.relay.openSession({}, '/echo/1');
    session.output(0).end();
    await first.relay.endOf(session.id);
    first.cut();
    await first.ended;
    const second = await online({}, {}, first.device);
    expect((await second.relay.endOf(session.id)).number).toBe(2);
    second.cut();
    await second.ended;
    const third = await online({}, {}, first.device);
    const { session: another } = await third.relay.openSession({}, '/echo/1');
    another.output(0).end();
    await third.relay.endOf(another.id);
    expect(third.relay.journal.map((entry) => entry.number)).toEqual([3, 4]);
  });
});
