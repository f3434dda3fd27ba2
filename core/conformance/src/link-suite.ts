import { afterEach, beforeEach, describe } from 'vitest';
import { endingCases } from './link/ending-cases.ts';
import { flowCases } from './link/flow-cases.ts';
import type { LinkPair, MakeLinkPair } from './link/link-pair.ts';
import { streamCases } from './link/stream-cases.ts';

export type { LinkPair, LinkPairLimits, MakeLinkPair } from './link/link-pair.ts';

/** What every transport's links must do. Each case gets a pair of its own. */
export function describeLink(name: string, makePair: MakeLinkPair): void {
  describe(`a link over ${name}`, () => {
    let current: LinkPair;
    const pair = () => current;
    beforeEach(async () => {
      current = await makePair();
    });
    afterEach(() => current.dispose());

    describe('streams', () => streamCases(pair));
    describe('flow', () => flowCases(pair, makePair));
    describe('its end', () => endingCases(pair));
  });
}
