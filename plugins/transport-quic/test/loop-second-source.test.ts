import { createRequire } from 'node:module';
import { describeLink } from '@towline/conformance/link';
import { describe, expect, it } from 'vitest';
import { loadFrom, loadQuiche } from '../src/binding/load-quiche.ts';
import { linkPair, type PairOptions } from './quic-pair.ts';

const SECOND = '@infisical/quic-linux-x64';
const require = createRequire(import.meta.url);

// Both packages hold one build each, for one kind of machine; elsewhere there is nothing to compare.
const isThere = process.platform === 'linux' && process.arch === 'x64';

describe.skipIf(!isThere)('the second source of the binding', () => {
  it('is another build than the first, and is taken where the first cannot be loaded', () => {
    const first = loadQuiche();
    expect(first.source).not.toBe(SECOND);
    const { quiche, source } = loadFrom(['@towline/no-such-package', SECOND], require);
    expect(source).toBe(SECOND);
    expect(quiche).not.toBe(first.quiche);
    expect(quiche.versionIsSupported(1)).toBe(true);
  });

  it('is missing on other machines with an error that says what was tried', () => {
    expect(() => loadFrom(['@towline/no-such-package'], require)).toThrowError(
      expect.objectContaining({ code: 'unavailable', detail: expect.stringContaining('@towline/no-such-package') }) as Error,
    );
    expect(() => loadFrom([], require)).toThrowError(expect.objectContaining({ code: 'unavailable' }) as Error);
  });
});

if (isThere) {
  const { quiche: first } = loadQuiche();
  const { quiche: second } = loadFrom([SECOND], require);
  const mixed: Readonly<Record<string, PairOptions>> = {
    'QUIC, both ends on the second source of the binding': { quiche: second, serverQuiche: second },
    'QUIC, dialled from the second source to the first': { quiche: second, serverQuiche: first },
    'QUIC, dialled from the first source to the second': { quiche: first, serverQuiche: second },
  };
  for (const [name, options] of Object.entries(mixed)) describeLink(name, (limits) => linkPair('client', limits, options));
}
