import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createControlChannel, createLink } from '@towline/link';
import { type ClientToRelay, clientToRelay, frameMessage, openAnswer, type RelayToClient, relayToClient } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { makeOidcUser, type OidcUser } from './oidc-user.ts';
import { DEVICE_ID } from './views.ts';

const AGES_MS = 60_000;
type Offer = Extract<ClientToRelay, { type: 'credential' }>;
type Verdict = Omit<Extract<RelayToClient, { type: 'credential_result' }>, 'type' | 'id'>;

interface Links {
  readonly dialledWith: (string | undefined)[];
  readonly offers: Offer[];
  /** Ends the session. */
  end(): void;
}

/** Lets the peer take links whose credential ends after `lifeMs`, and judge what is offered in its place. */
function takeLinks({ peer }: OidcUser, lifeMs: number, judge: (offer: Offer) => Verdict): Links {
  const links: Duplex[] = [];
  const end = () => {
    for (const socket of links) socket.destroy();
  };
  const seen = { dialledWith: [] as (string | undefined)[], offers: [] as Offer[], end };
  peer.server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    links.push(socket);
    seen.dialledWith.push(request.headers.authorization);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: towline/1\r\n\r\n');
    createLink(socket, { role: 'acceptor' }).onStream((stream) => {
      stream.on('error', () => undefined);
      if (!stream.head.includes('/control/1')) {
        const device = { id: DEVICE_ID, name: 'pi', fingerprint: `sha256:${'b'.repeat(64)}` };
        stream.write(frameMessage(openAnswer.encode({ status: 'accepted', received: 0, body: {}, device })));
        return;
      }
      const control = createControlChannel<RelayToClient, ClientToRelay>(stream, { encode: relayToClient, decode: clientToRelay });
      control.onMessage((message) => {
        const time_ms = 1_000_000;
        if (message.type === 'hello')
          control.send({ type: 'welcome', level: 1, time_ms, principal: 'alice', expires_at_ms: time_ms + lifeMs });
        if (message.type !== 'credential') return;
        seen.offers.push(message);
        control.send({ type: 'credential_result', id: message.id, ...judge(message) });
      });
    });
  });
  return seen;
}

async function until(look: () => boolean): Promise<void> {
  while (!look()) await new Promise((later) => setTimeout(later, 20));
}

/** Starts a session that does not end by itself. */
async function startSession(at: OidcUser) {
  const child = at.user.start(['pi', 'exec', '--', 'sleep', '1000'], { env: at.env });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { child, stderr: () => stderr, ended: once(child, 'close') };
}

describe('a session that lasts longer than its token', { timeout: AGES_MS }, () => {
  it('hands the relay a renewed one ahead of time, and stores it', async () => {
    await using at = await makeOidcUser();
    expect(await at.login()).toMatchObject({ code: 0 });
    const before = (await at.stored()).OAuth2Token!;
    const links = takeLinks(at, 2_000, () => ({ expires_at_ms: 1_000_000 + 4_000 }));
    const session = await startSession(at);
    await until(() => links.offers.length === 2);
    links.end();
    await session.ended;
    expect(links.dialledWith).toEqual([`Bearer ${before.access_token}`]);
    const after = (await at.stored()).OAuth2Token!;
    expect(links.offers.map(({ header, id }) => [header, id])).toEqual([
      ['Authorization', 1],
      ['Authorization', 2],
    ]);
    expect(links.offers[1]!.value).toBe(`Bearer ${after.access_token}`);
    expect(new Set([before.access_token, ...links.offers.map(({ value }) => value.slice(7))]).size).toBe(3);
    expect(at.provider.events.filter((event) => event === 'refresh_token.consumed')).toHaveLength(2);
  });

  it('takes the one that another program has got', async () => {
    await using at = await makeOidcUser();
    expect(await at.login()).toMatchObject({ code: 0 });
    const links = takeLinks(at, 4_000, () => ({}));
    const session = await startSession(at);
    await until(() => links.dialledWith.length === 1);
    await at.change({ expires_at: 1_700_000_000 });
    expect(await at.run(['whoami'])).toMatchObject({ code: 0 });
    await until(() => links.offers.length === 1);
    links.end();
    await session.ended;
    expect(links.offers[0]!.value).toBe(`Bearer ${(await at.stored()).OAuth2Token!.access_token}`);
    expect(at.provider.events.filter((event) => event === 'refresh_token.consumed')).toHaveLength(1);
  });

  it('says once why it will end, and tries again', async () => {
    await using at = await makeOidcUser();
    expect(await at.login()).toMatchObject({ code: 0 });
    const links = takeLinks(at, 1_000, () => ({ code: 'forbidden', message: 'The credential is that of somebody else.\u0007' }));
    const session = await startSession(at);
    await until(() => links.offers.length === 2);
    links.end();
    await session.ended;
    expect(session.stderr().match(/the login of this session ends in .*: The credential is that of somebody else\.\\u\{7\}/g)).toHaveLength(
      1,
    );
    // What was refused is not asked of the provider again.
    expect(links.offers[1]!.value).toBe(links.offers[0]!.value);
  });
});
