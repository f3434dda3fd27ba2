import { TowlineError } from '@towline/contract';
import { createApiKeyText } from '@towline/protocol';
import fc from 'fast-check';
import { fastify } from 'fastify';
import { describe, expect, it } from 'vitest';
import { createLog, withFields } from '../src/log.ts';
import { REDACTED } from '../src/redaction.ts';

function openLog(level: Parameters<typeof createLog>[0]['level'] = 'debug') {
  const lines: string[] = [];
  const log = createLog({ level, stream: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown>, text: () => lines.join('') };
}

describe('the log', () => {
  it('writes one JSON line with message and fields', () => {
    const { log, lines, last } = openLog();
    log.warn('something happened', { device: 'pi' });
    expect(lines).toHaveLength(1);
    expect(lines[0]!.endsWith('}\n')).toBe(true);
    expect(last()).toMatchObject({ level: 40, msg: 'something happened', device: 'pi' });
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = openLog('warn');
    log.debug('a');
    log.info('b');
    log.error('c');
    expect(lines).toHaveLength(1);
  });

  it('adds fields for a plugin, and those of the line win', () => {
    const { log, last } = openLog();
    withFields(log, { plugin: 'store/sqlite', part: 'a' }).info('x', { part: 'b' });
    expect(last()).toMatchObject({ plugin: 'store/sqlite', part: 'b' });
  });

  it('does not treat a percent sign in a message as a format', () => {
    const { log, last } = openLog();
    log.info('100%s %d %j', { a: 1 });
    expect(last().msg).toBe('100%s %d %j');
  });

  it('cannot be made to write a second line or to forge its own fields', () => {
    const { log, lines, last } = openLog();
    log.info('one\n{"level":60,"msg":"two"}', { level: 60, msg: 'forged', time: 0, name: 'a\r\nb\u0085\u2028\u009b31m\u202e' });
    expect(lines).toHaveLength(1);
    expect(lines[0]!.slice(0, -1)).toMatch(/^[\x20-\x7e]+$/);
    expect(last()).toMatchObject({ level: 30, level_: 60, msg_: 'forged', name: 'a\r\nb\u0085\u2028\u009b31m\u202e' });
    expect(last().msg).toContain('one');
  });

  it('survives fields that JSON cannot hold', () => {
    const { log, lines } = openLog();
    const circle: Record<string, unknown> = {
      big: 1n,
      map: new Map([['a', 1]]),
      set: new Set([1]),
      at: new Date(Number.NaN),
      run: () => 1,
    };
    circle.self = circle;
    log.info('odd', circle);
    log.info('bytes', { chunk: Buffer.alloc(5_000_000) });
    expect(JSON.parse(lines[0]!)).toMatchObject({ big: '1', map: { a: 1 }, set: [1], at: null });
    expect(JSON.parse(lines[1]!)).toMatchObject({ chunk: '[5000000 bytes]' });
  });
});

describe('secrets', () => {
  const planted = 'plantedSecret0123456789';

  it.each([
    'api_key',
    'apiKey',
    'x-api-key',
    'X-API-Key',
    'authorization',
    'Authorization',
    'password',
    'secret',
    'token',
    'private_key',
    'privateKey',
    'access_token',
    'refresh_token',
    'client_secret',
    'TOWLINE_JWT_SECRET',
    'forward_secrets',
    'encryption_keys',
    'cookie',
    'smtp_password',
  ])('in a field named %s do not reach the log at any usual depth', (name) => {
    const { log, text } = openLog();
    const inner = { [name]: planted };
    log.info('x', inner);
    log.info('x', { headers: inner });
    log.info('x', { a: [{ b: { c: { d: inner } } }] });
    log.info('x', { error: Object.assign(new Error('bad'), inner) });
    log.pino.info({ config: inner }, 'x');
    log.pino.child({ options: inner }).info('x');
    expect(text()).not.toContain(planted);
    expect(text()).toContain(REDACTED);
  });

  it('leave the fact that they are missing visible', () => {
    const { log, last } = openLog();
    log.info('x', { password: '', token: undefined, secret: null });
    expect(last()).toMatchObject({ password: '', secret: null });
  });

  it.each(['user', 'device', 'enrolment'] as const)(
    'in the form of a %s key are masked wherever they stand, but for the public id',
    (kind) => {
      const { log, text } = openLog();
      const key = createApiKeyText(kind);
      const cause = new TowlineError('internal', `Refused ${key.text}.`, { detail: key.text, cause: new Error(key.text) });
      log.info(`login with ${key.text}`, { url: `/v1/me?key=${key.text}`, [key.text]: 1 });
      log.error('x', { error: new Error(key.text, { cause }), all: new AggregateError([new Error(key.text)]) });
      log.pino.info(`raw ${key.text}`);
      log.pino.info('raw %s', key.text);
      log.info(`cut ${key.text.slice(0, 60)}`);
      expect(text()).not.toContain(key.secret.slice(0, 10));
      expect(text()).toContain(`${key.text.slice(0, 22)}_${REDACTED}`);
    },
  );

  it('in an authorization header or a URL with a password are masked in a text', () => {
    const { log, text } = openLog();
    log.info(`sent Authorization: Bearer ${planted}.${planted}`, { uri: `mongodb://admin:${planted}@db.example/towline` });
    log.info('x', { uri: new URL(`https://user:${planted}@relay.example/`) });
    expect(text()).not.toContain(planted);
    expect(text()).toContain('mongodb://admin:');
  });

  it('in a request that fastify logs are masked, in its URL as in its headers', async () => {
    const { log, text } = openLog();
    const key = createApiKeyText('user').text;
    const server = fastify({ loggerInstance: log.pino });
    server.get('/x', (request) => {
      request.log.info({ headers: request.headers, req: request }, `asked with ${key}`);
      return {};
    });
    await server.inject({ url: `/x?key=${key}`, headers: { authorization: `Basic ${planted}`, 'x-api-key': planted } });
    await server.close();
    expect(text()).toContain('/x?key=twl_u_');
    expect(text()).toContain('"reqId":');
    expect(text()).not.toContain(planted);
    expect(text()).not.toContain(key);
  });

  it('never break the line they are taken out of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.jsonValue(), (message, value) => {
        const { log, lines } = openLog();
        log.info(`twl_u_${message}`, { value });
        expect(lines).toHaveLength(1);
        JSON.parse(lines[0]!);
      }),
    );
  });

  it('do not slow the log down when a text is long and hostile', () => {
    const { log } = openLog();
    const started = performance.now();
    for (const text of ['twl_u_', 'bearer ', 'a://', 'a'.repeat(20), 'a:'].map((part) => part.repeat(100_000 / part.length)))
      log.info(text, { text });
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
