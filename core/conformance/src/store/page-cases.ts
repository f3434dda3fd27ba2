import assert from 'node:assert/strict';
import type { Store } from '@towline/contract';
import { rejectsWith } from './expectations.ts';
import { PAGED_LISTS, type PagedList, SHARED_LISTS } from './paged-lists.ts';
import type { StoreCase } from './store-case.ts';

/** Promises of pages, for each list. */
export const pageCases: readonly StoreCase[] = [
  ...[...PAGED_LISTS, ...SHARED_LISTS].flatMap((list) => [
    completePages(list),
    stablePages(list),
    checkedCursors(list),
    checkedLimits(list),
  ]),
  {
    name: 'pages: a cursor of one list is invalid_request in another',
    async run({ store }) {
      // The trail is one, whatever its order.
      for (const list of PAGED_LISTS.slice(0, -1)) await list.add(store, [1, 2, 3]);
      const cursors = await Promise.all(PAGED_LISTS.map(async (list) => (await list.list(store, { limit: 1 })).next!));
      for (const [own, list] of PAGED_LISTS.entries()) {
        for (const [of, cursor] of cursors.entries())
          if (of !== own) await rejectsWith(list.list(store, { limit: 1, cursor }), 'invalid_request');
      }
    },
  },
];

function completePages(list: PagedList): StoreCase {
  return {
    name: `pages of ${list.name}: each holds at most the limit, and together they hold every item once, in order`,
    async run({ store }) {
      assert.deepEqual(await list.list(store, { limit: 3 }), { items: [], next: null });
      await list.add(store, [1, 2, 3, 4, 5, 6, 7]);
      const wanted = placesIn(list, (await list.list(store, { limit: 500 })).items);
      assert.deepEqual([...wanted].sort(), [1, 2, 3, 4, 5, 6, 7]);
      for (const [limit, sizes] of [
        [3, [3, 3, 1]],
        [7, [7]],
        [1, [1, 1, 1, 1, 1, 1, 1]],
      ] as const) {
        const pages = await readPages(store, list, limit);
        assert.deepEqual(
          pages.map((page) => page.length),
          sizes,
        );
        assert.deepEqual(pages.flat(), wanted);
      }
    },
  };
}

function stablePages(list: PagedList): StoreCase {
  return {
    name: `pages of ${list.name}: items that come and go between two pages make no other be left out or seen twice`,
    async run({ store }) {
      const there = list.remove ? [2, 4, 6, 8, 10, 12, 14] : [1, 2, 3, 4, 5, 6, 7];
      await list.add(store, there);
      let removed: number[] = [];
      const seen = await readPages(store, list, 3, async () => {
        await list.add(store, [1, 5, 9]);
        if (!list.remove) return;
        removed = [2, 10];
        for (const place of removed) await list.remove(store, place);
      });
      const stayed = there.filter((place) => !removed.includes(place));
      const places = seen.flat();
      assert.deepEqual(places, [...new Set(places)], 'an item was seen twice');
      assert.deepEqual(
        stayed.filter((place) => !places.includes(place)),
        [],
        'an item was left out',
      );
    },
  };
}

function checkedCursors(list: PagedList): StoreCase {
  return {
    name: `pages of ${list.name}: a cursor that the store did not make is invalid_request`,
    async run({ store }) {
      await list.add(store, [1, 2, 3]);
      const { next } = await list.list(store, { limit: 1 });
      assert.ok(next !== null && next !== '');
      const made = [
        '',
        'x',
        '1',
        'null',
        '%%%',
        `${next}x`,
        next.slice(0, -4),
        `${next}=`,
        'AAAAAAAAAAAAAAAA',
        Buffer.from('{}').toString('base64url'),
      ];
      for (const cursor of made) await rejectsWith(list.list(store, { limit: 1, cursor }), 'invalid_request');
    },
  };
}

function checkedLimits(list: PagedList): StoreCase {
  return {
    name: `pages of ${list.name}: a limit that is no whole number from 1 to 500 is invalid_request`,
    async run({ store }) {
      await list.add(store, [1]);
      for (const limit of [0, -1, 501, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await rejectsWith(list.list(store, { limit }), 'invalid_request');
      }
      for (const limit of [1, 500]) assert.equal((await list.list(store, { limit })).items.length, 1);
    },
  };
}

/** Places by page. `afterFirst` runs between the first page and the second. */
async function readPages(store: Store, list: PagedList, limit: number, afterFirst?: () => Promise<void>): Promise<number[][]> {
  const pages: number[][] = [];
  let cursor: string | null | undefined;
  do {
    const page = await list.list(store, { limit, ...(cursor && { cursor }) });
    assert.ok(pages.length < 50, 'the list has no end');
    pages.push(placesIn(list, page.items));
    if (pages.length === 1) await afterFirst?.();
    cursor = page.next;
  } while (cursor !== null);
  return pages;
}

function placesIn(list: PagedList, items: readonly unknown[]): number[] {
  return items.map((item) => list.placeOf(item as never));
}
