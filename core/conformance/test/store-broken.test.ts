import { AssertionError } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteStore } from '@towline/store-sqlite';
import { describe, expect, it } from 'vitest';
import { type StoreHandle, storeCases } from '../src/store/cases.ts';
import { auditBreaks } from './store-breaks/audit-breaks.ts';
import type { Break } from './store-breaks/break.ts';
import { deviceBreaks } from './store-breaks/device-breaks.ts';
import { keyBreaks } from './store-breaks/key-breaks.ts';
import { metaBreaks } from './store-breaks/meta-breaks.ts';
import { organisationBreaks } from './store-breaks/organisation-breaks.ts';
import { pageBreaks } from './store-breaks/page-breaks.ts';
import { registrationBreaks } from './store-breaks/registration-breaks.ts';
import { revocationBreaks } from './store-breaks/revocation-breaks.ts';
import { secretBreaks } from './store-breaks/secret-breaks.ts';
import { sessionBreaks } from './store-breaks/session-breaks.ts';
import { shareBreaks } from './store-breaks/share-breaks.ts';
import { standingBreaks } from './store-breaks/standing-breaks.ts';
import { transferBreaks } from './store-breaks/transfer-breaks.ts';
import { userBreaks } from './store-breaks/user-breaks.ts';
import { wholeStoreBreaks } from './store-breaks/whole-store-breaks.ts';

const BREAKS: readonly Break[] = [
  ...deviceBreaks,
  ...shareBreaks,
  ...registrationBreaks,
  ...keyBreaks,
  ...userBreaks,
  ...organisationBreaks,
  ...secretBreaks,
  ...standingBreaks,
  ...sessionBreaks,
  ...auditBreaks,
  ...revocationBreaks,
  ...metaBreaks,
  ...pageBreaks,
  ...transferBreaks,
  ...wholeStoreBreaks,
];

const quiet = () => undefined;
const parts = { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: () => 0 } };

/** A store that is broken in one way, on real data. */
async function makeBroken({ of }: Break): Promise<StoreHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'towline-broken-'));
  const opened: SqliteStore[] = [];
  const open = async () => {
    const store = new SqliteStore(join(folder, 'towline.db'), parts);
    opened.push(store);
    await store.start(AbortSignal.timeout(20_000));
    return of(store);
  };
  const close = () => Promise.all(opened.splice(0).map((store) => store[Symbol.asyncDispose]()));
  return {
    store: await open(),
    second: open,
    reopen: async () => {
      await close();
      return open();
    },
    dispose: async () => {
      await close();
      await rm(folder, { recursive: true });
    },
  };
}

async function outcomeOf(broken: Break): Promise<unknown> {
  const storeCase = storeCases.find(({ name }) => name === broken.promise);
  const handle = await makeBroken(broken);
  try {
    await storeCase!.run(handle);
    return 'passed';
  } catch (error) {
    return error;
  } finally {
    await handle.dispose();
  }
}

describe('the store suite', () => {
  it('has a name of its own for every promise, and a broken store for every one', () => {
    const names = storeCases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect([...new Set(BREAKS.map(({ promise }) => promise))].sort()).toEqual(names.toSorted());
  });

  it.each(BREAKS)('rejects a store that breaks “$promise”: $fault', async (broken) => {
    expect(await outcomeOf(broken)).toBeInstanceOf(AssertionError);
  });
});
