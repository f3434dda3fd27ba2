import { createApiKeyText } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { createLog } from '../src/log.ts';

function logAt() {
  const clock = { nowMs: 0 };
  const lines: string[] = [];
  return { clock, lines, log: createLog({ write: (line) => lines.push(line), monotonicMs: () => clock.nowMs }) };
}

describe('the log of the runtime', () => {
  it('writes one line an entry, with its fields, and quotes what has spaces', () => {
    const { log, lines } = logAt();
    log.warn('stream refused', { code: 'usage', message: 'two words', detail: undefined });
    expect(lines).toEqual(['warning: stream refused code=usage message="two words"\n']);
  });

  it('escapes what a peer could steer a terminal with', () => {
    const { log, lines } = logAt();
    log.info('by \u001b[2J', { name: 'a\nerror: forged', dir: '\u202e' });
    expect(lines.join('')).not.toMatch(/[\u001b\u202e]|\n./);
  });

  it('never writes the secret of an API key', () => {
    const { log, lines } = logAt();
    const key = createApiKeyText('device');
    log.error(`bad key ${key.text}`, { key: key.text });
    expect(lines.join('')).not.toContain(key.secret);
    expect(lines.join('')).toContain(key.id);
  });

  it('leaves lines out in a flood and says how many', () => {
    const { log, lines, clock } = logAt();
    for (let at = 0; at < 1_000; at += 1) log.info('again');
    expect(lines).toHaveLength(50);
    clock.nowMs = 1_000;
    log.info('later');
    expect(lines.slice(50)).toEqual(['warning: 950 lines were left out\n', 'later\n']);
  });
});
