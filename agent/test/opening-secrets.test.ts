import { text } from 'node:stream/consumers';
import type { DeviceHandler } from '@towline/contract';
import {
  createClientSession,
  createId,
  deriveGrantKey,
  deviceOpen,
  encodeSecrets,
  REFUSED_SECRET_BEGINNINGS,
  REFUSED_SECRET_NAMES,
  relayOpen,
  SECRETS_FEATURE,
  type SecretValue,
  type SessionId,
} from '@towline/protocol';
import { handler as exec } from '@towline/stream-exec/device';
import { describe, expect, it } from 'vitest';
import { echo } from './device-side.ts';
import { online } from './linked.ts';

const VALUE = 'planted-in-an-opening';
const SECRETS: readonly SecretValue[] = [{ name: 'GIVEN', value: VALUE }];
/** The real command, and a handler that takes no secrets. */
const handlers = new Map([exec, echo].map((each) => [each.protocol, each as DeviceHandler]));
// Programs of these tests run as whoever runs the tests.
const host = { handlers, ...(process.getuid?.() === 0 ? { isRoot: true, runAs: 'root' } : {}) };

const printing = (...names: string[]) => ({ argv: ['printenv', ...names], stdin: false });
const openText = (secrets: unknown, changes: object = {}) =>
  JSON.stringify({ protocol: '/exec/1', session: createId<SessionId>(), body: printing('GIVEN'), secrets, ...changes });
const encoded = (value: string) => Buffer.from(value).toString('base64url');

describe('secrets of an opening', () => {
  it('are told to be understood when the device links', async () => {
    const { relay } = await online(host);
    expect(relay.proof.features).toEqual([SECRETS_FEATURE]);
  });

  it('are in the environment of the command, and in nothing that the device says of it', async () => {
    const { relay, device } = await online(host);
    const session = createId<SessionId>();
    const open = deviceOpen.encode({ protocol: '/exec/1', session, body: printing('GIVEN'), secrets: encodeSecrets(SECRETS) }).toString();
    const { answer, stream } = await relay.openRaw(relayOpen.encode({ grant: relay.grant(open), open }));
    expect(answer.status).toBe('accepted');
    const client = createClientSession(stream, session);
    expect(await text(client.input(0))).toBe(`${VALUE}\n`);
    await relay.endOf(session);
    expect(JSON.stringify([answer, relay.messages, relay.journal, device.lines])).not.toMatch(new RegExp(`${VALUE}|${encoded(VALUE)}`));
  });

  const whole = openText(encodeSecrets(SECRETS));
  const other = openText(encodeSecrets(SECRETS));
  it.each([
    ['were added to an opening that was granted without', openText(undefined), whole],
    ['were changed', whole, whole.replace(encoded(VALUE), encoded('of somebody else'))],
    ['were given another name', whole, whole.replace('GIVEN', 'OTHER')],
    ['were taken away', whole, openText(undefined)],
    ['belong to another session', other, whole],
    ['have one byte more in the message, which means nothing', whole, `${whole} `],
  ])('that %s are refused: the grant is for another message', async (_what, granted, sent) => {
    const { relay, device } = await online(host);
    const head = relayOpen.encode({ grant: relay.grant(granted), open: sent });
    expect(await relay.codeOf(relay.openRaw(head))).toBe('grant_invalid');
    expect(device.host.sessions.ids).toEqual([]);
  });

  it('that a stranger signed, or that are for another device or link, are refused', async () => {
    const { relay } = await online(host);
    const stranger = deriveGrantKey('a secret of somebody else, long enough');
    const grants = [
      relay.grant(whole, { key: stranger.id }, stranger),
      relay.grant(whole, {}, stranger),
      relay.grant(whole, { device: createId() as string }),
      relay.grant(whole, { nonce: 'of-another-link-0000' }),
    ];
    for (const grant of grants) expect(await relay.codeOf(relay.openRaw(relayOpen.encode({ grant, open: whole })))).toBe('grant_invalid');
    expect(await relay.codeOf(relay.openRaw(relayOpen.encode({ grant: relay.grant(whole), open: whole })))).toBe('accepted');
  });

  it('by a forbidden or malformed name are refused, though the relay itself signed them', async () => {
    const { relay, device } = await online(host);
    const refused = [...REFUSED_SECRET_NAMES, ...REFUSED_SECRET_BEGINNINGS.map((beginning) => `${beginning}X`)];
    const malformed = ['', 'A=B', 'A B', 'A\nB', '$(id)', 'A;id', 'BASH_FUNC_ls%%', 'Ä', '1', 'N'.repeat(129)];
    expect(refused.length).toBeGreaterThan(100);
    for (const name of [...refused, ...refused.map((each) => each.toLowerCase()), ...malformed]) {
      const open = openText([{ name, value: encoded(VALUE) }]);
      const code = await relay.codeOf(relay.openRaw(relayOpen.encode({ grant: relay.grant(open), open })));
      expect(code, name).toBe(name.length > 128 ? 'protocol_error' : 'invalid_request');
    }
    expect(device.host.sessions.ids).toEqual([]);
    expect(device.lines.join('\n')).not.toContain(VALUE);
  });

  it.each([
    ['no list', 'GIVEN', 'protocol_error'],
    ['more than 50', Array.from({ length: 51 }, (_, at) => ({ name: `N${at}`, value: 'eA' })), 'protocol_error'],
    ['a value that is no text', [{ name: 'A', value: 7 }], 'protocol_error'],
    ['an empty value', [{ name: 'A', value: '' }], 'invalid_request'],
    ['a value with NUL', [{ name: 'A', value: encoded(`${VALUE}\0`) }], 'invalid_request'],
    ['a value in the clear', [{ name: 'A', value: 'in the clear!' }], 'invalid_request'],
    ['one name twice', [1, 2].map(() => ({ name: 'A', value: encoded(VALUE) })), 'invalid_request'],
    ['more bytes than a session may have', ['A', 'B'].map((name) => ({ name, value: encoded('x'.repeat(10_500)) })), 'invalid_request'],
  ])('that are %s are refused, and the link goes on', async (_what, secrets, code) => {
    const { relay, device } = await online(host);
    const open = openText(secrets);
    expect(await relay.codeOf(relay.openRaw(relayOpen.encode({ grant: relay.grant(open), open })))).toBe(code);
    expect(device.lines.join('\n')).not.toContain(VALUE);
    expect(await relay.codeOf(relay.openRaw(relayOpen.encode({ grant: relay.grant(whole), open: whole })))).toBe('accepted');
  });

  it('for a protocol that takes none are refused, instead of it running without', async () => {
    const { relay } = await online(host);
    const open = openText(encodeSecrets(SECRETS), { protocol: '/echo/1', body: {} });
    const { answer } = await relay.openRaw(relayOpen.encode({ grant: relay.grant(open, { protocol: '/echo/1' }), open }));
    expect(answer).toMatchObject({ status: 'refused', code: 'invalid_request', message: '/echo/1 takes no secrets on this device.' });
  });
});
