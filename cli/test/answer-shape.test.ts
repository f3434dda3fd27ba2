import type { AuditView, DeviceView, RegistrationView } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUDIT_COLUMNS, detailLines } from '../src/audit/audit-lines.ts';
import { deviceColumns } from '../src/device/device-fields.ts';
import { pendingColumns } from '../src/device/pending-request.ts';
import { chooseColours } from '../src/output/colours.ts';
import { type Column, tableLines } from '../src/output/table.ts';
import { displayWidth, jsonText } from '../src/output/terminal-text.ts';
import { checkAnswer, type Shape } from '../src/relay/answer-shape.ts';
import { AUDIT_RECORD, DEVICE, REGISTRATION } from '../src/relay/views.ts';
import { auditView, deviceView, registrationView } from './views.ts';

const OBEYED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const NO_COLOURS = chooseColours({ env: {}, stdout: process.stdout }, false);
const text = fc.string({
  unit: fc.oneof(fc.string({ unit: 'binary', maxLength: 1 }), fc.constantFrom('\u001b', '\u009b', '\n', '\u202e', '漢', '́')),
});
const anything = fc.oneof(text, fc.jsonValue({ stringUnit: 'binary' }) as fc.Arbitrary<unknown>, fc.constant(undefined));

/** A view of which some fields, on any level, were replaced by anything. */
function mangled(view: Record<string, unknown>): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(view).map(([key, value]) => {
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    const kept = nested ? mangled(value as Record<string, unknown>) : typeof value === 'string' ? text : fc.constant(value);
    return [key, fc.oneof({ weight: 30, arbitrary: kept as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: anything })] as const;
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: Object.keys(view).slice(1) });
}

describe('answers of a relay that may be anything', () => {
  const cases: readonly (readonly [string, Record<string, unknown>, Shape, (view: never) => string[]])[] = [
    ['devices', deviceView(), DEVICE, (view: DeviceView) => lines(deviceColumns(0), view)],
    ['requests', registrationView(), REGISTRATION, (view: RegistrationView) => lines(pendingColumns(0), view)],
    ['records', auditView(), AUDIT_RECORD, (view: AuditView) => [...lines(AUDIT_COLUMNS, view), ...detailLines(view)]],
  ];

  it.each(cases)('are refused by a clear error or shown in lines that no terminal obeys: %s', (_what, view, shape, show) => {
    let printed = 0;
    const property = fc.property(mangled(view), (made) => {
      // As it would come over the wire: what is undefined is not there.
      const answer: unknown = JSON.parse(JSON.stringify(made));
      try {
        checkAnswer(answer, shape);
      } catch (error) {
        expect(isTowlineError(error) && error.code).toBe('protocol_error');
        return;
      }
      printed += 1;
      for (const line of show(answer as never)) expect(line).not.toMatch(OBEYED);
    });
    fc.assert(property, { numRuns: 500 });
    // Else the property would say nothing about what is printed.
    expect(printed).toBeGreaterThan(50);
  });

  it('keep columns aligned whatever the letters', () => {
    const columns: Column<string>[] = [
      { heading: 'A', text: (row) => row },
      { heading: 'B', text: () => '|' },
    ];
    const word = fc.string({ unit: fc.constantFrom('a', 'é', '漢', 'e\u0301', '🙂'), minLength: 1, maxLength: 12 });
    const property = fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (rows) => {
      const ends = tableLines(columns, rows, NO_COLOURS).slice(1).map(displayWidth);
      expect(new Set(ends).size).toBe(1);
    });
    fc.assert(property);
  });

  it('survive JSON unchanged, and in letters no terminal obeys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const json = jsonText(value);
        expect(json).not.toMatch(OBEYED);
        expect(JSON.stringify(JSON.parse(json))).toBe(JSON.stringify(value));
      }),
    );
  });
});

function lines<Row>(columns: readonly Column<Row>[], row: Row): string[] {
  return tableLines(columns, [row], NO_COLOURS);
}
