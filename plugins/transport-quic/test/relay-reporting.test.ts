import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { CONTRACT_LEVEL, isPlugin } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { plugin } from '../src/index.ts';
import { createBufferAdvice } from '../src/relay/buffer-advice.ts';
import { logLines } from '../src/relay/line-log.ts';
import { createRestartDelay } from '../src/relay/restart-delay.ts';
import { createStateLog } from '../src/relay/state-log.ts';
import { totals } from '../src/relay/totals.ts';
import { keepingLog } from './edge-door.ts';

it('an edge that fails is started again at once, then later and later, and at once again after a good life', () => {
  const delay = createRestartDelay();
  expect([0, 0, 0, 0, 0, 0, 0, 0].map((upMs) => delay.next(upMs))).toEqual([0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  expect(delay.next(29_999)).toBe(15_000);
  expect(delay.next(30_000)).toBe(0);
  expect(delay.next(1_000)).toBe(500);
});

it('counters go on where the last edge ended; other figures are those of the edge there is', () => {
  const sums = totals();
  expect(sums.sum({ links_total: 1, links: 1 })).toEqual({ links_total: 1, links: 1 });
  sums.close({ links_total: 3, links: 2 });
  expect(sums.sum({})).toEqual({ links_total: 3 });
  sums.close({ links_total: 4 });
  expect(sums.sum({ links_total: 5, links: 1 })).toEqual({ links_total: 12, links: 1 });
});

it('trouble is logged once in the same words, and that it is over only when it was logged', () => {
  const log = keepingLog();
  const say = createStateLog(log);
  say({ status: 'up' }, { edge_pid: 1 });
  for (const detail of ['one', 'one', 'other', 'one']) {
    say({ status: 'down', detail }, {});
    say({ status: 'up' }, { edge_pid: 2 });
  }
  expect(log.lines).toHaveLength(5);
  expect(log.lines.filter((line) => line.includes('not served'))).toHaveLength(2);
});

it('small buffers are pointed out once', () => {
  const log = keepingLog();
  const advise = createBufferAdvice(log);
  const up = { type: 'up', port: 1, source: 'x' } as const;
  advise({ ...up, receive_buffer_bytes: 16_777_216, send_buffer_bytes: 16_777_216 });
  expect(log.lines).toEqual([]);
  advise({ ...up, receive_buffer_bytes: 425_984, send_buffer_bytes: 16_777_216 });
  advise({ ...up, receive_buffer_bytes: 425_984, send_buffer_bytes: 16_777_216 });
  expect(log.lines).toHaveLength(1);
});

it('what a process writes is logged by lines, cut, and not as a flood', async () => {
  const log = keepingLog();
  const output = new PassThrough();
  logLines(output, log, 'it wrote');
  output.write('one\ntw');
  output.write('o\n\n');
  output.write(`${'x'.repeat(1_000_000)}\n`);
  for (let n = 0; n < 100; n += 1) output.write(`line ${n}\n`);
  output.end('the end');
  await once(output, 'end');
  expect(log.lines.slice(0, 2)).toEqual(['it wrote {"line":"one"}', 'it wrote {"line":"two"}']);
  expect(log.lines.length).toBeLessThanOrEqual(20);
  expect(Math.max(...log.lines.map(({ length }) => length))).toBeLessThan(2_100);
});

describe('the package', () => {
  it('brings the plugin that its manifest names', () => {
    expect(manifest.towline).toEqual({ contract: CONTRACT_LEVEL, plugins: [{ kind: 'transport', name: 'quic', export: '.' }] });
    expect(isPlugin(plugin)).toBe(true);
    expect([plugin.kind, plugin.name]).toEqual(['transport', 'quic']);
  });

  it('takes a bound on connections, and nothing else', async () => {
    const validate = plugin.options['~standard'].validate;
    expect(await validate({})).toMatchObject({ value: { max_connections: 20_000 } });
    expect(await validate({ max_connections: 5 })).toMatchObject({ value: { max_connections: 5 } });
    for (const wrong of [{ max_connections: 0 }, { max_connections: '5' }, { port: 1 }])
      expect((await validate(wrong)).issues).toHaveLength(1);
  });
});
