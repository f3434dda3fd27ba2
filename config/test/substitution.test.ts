import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { substituteVariables } from '../src/reading/substitution.ts';

const env = { HOST: 'relay.example', EMPTY: '', EVIL: `\${HOST} $$ \n"]} - x: y` };
const textOf = (text: string) => substituteVariables(text, env).text;

describe('a reference to a variable', () => {
  test.each([
    [`\${HOST}`, 'relay.example'],
    [`https://\${HOST}:\${PORT:-8085}/`, 'https://relay.example:8085/'],
    [`\${EMPTY}`, ''],
    [`\${EMPTY:-full}`, 'full'],
    [`\${UNSET:-}`, ''],
    [`\${UNSET:-a $ b:-c}`, 'a $ b:-c'],
    [`$$\{HOST}`, `\${HOST}`],
    [`$$$\{HOST}`, '$relay.example'],
    ['$$$$', '$$'],
    ['$6$salt$hash', '$6$salt$hash'],
    ['$HOST', '$HOST'],
    ['plain', 'plain'],
  ])('in %j gives %j', (text, expected) => expect(substituteVariables(text, env)).toMatchObject({ text: expected, faults: [] }));

  test('takes what the variable holds as it is, references and all', () => {
    expect(textOf(`<\${EVIL}>`)).toBe(`<${env.EVIL}>`);
  });

  test('to an unset variable is a fault that names it', () => {
    const { faults } = substituteVariables(`\${ONE} \${TWO}`, env);
    expect(faults.map((fault) => fault.expected)).toEqual([expect.stringContaining('ONE'), expect.stringContaining('TWO')]);
  });

  test.each([`\${}`, `\${`, `\${1A}`, `\${A B}`, `\${HOST:x}`, `\${HOST`, `\${HOST:-x`, `\${toString}`, `\${__proto__}`])(
    'as %j is a fault',
    (text) => {
      expect(substituteVariables(text, env).faults).toHaveLength(1);
    },
  );

  test('does no harm in any text: what has no dollar sign stays as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('$'));
        expect(substituteVariables(text, env)).toEqual({ text, variables: [], faults: [] });
      }),
    );
  });

  test('is undone by doubling every dollar sign, whatever the text', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('$', `\${HOST}`, `\${X:-y}`, '}'))), (parts) => {
        const text = parts.join('');
        expect(substituteVariables(text.replaceAll('$', '$$$$'), env)).toEqual({ text, variables: [], faults: [] });
      }),
    );
  });

  test('brings each value to its place and changes nothing around it', () => {
    const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);
    const literal = fc.string().map((text) => text.replaceAll('$', ''));
    fc.assert(
      fc.property(fc.array(fc.tuple(literal, name, fc.string())), (parts) => {
        const values = Object.fromEntries(parts.map(([, key, value]) => [key, value]));
        const done = substituteVariables(parts.map(([before, key]) => `${before}\${${key}}`).join(''), values);
        expect(done.text).toBe(parts.map(([before, key]) => `${before}${values[key]}`).join(''));
        expect(done.faults).toEqual([]);
      }),
    );
  });
});
