// The suite on the small store, by the test runner of Node.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { storeCases } from '@towline/conformance/store-cases';
import { openSmallStore } from './small-store.mjs';

function makeStore() {
  const folder = mkdtempSync(join(tmpdir(), 'small-store-'));
  const stores = [];
  const open = async () => {
    stores.push(openSmallStore(join(folder, 'store.json')));
    return stores.at(-1);
  };
  const closeAll = () => Promise.all(stores.splice(0).map((store) => store.dispose()));
  return open().then((store) => ({
    store,
    second: open,
    reopen: async () => {
      await closeAll();
      return open();
    },
    dispose: async () => {
      await closeAll();
      rmSync(folder, { recursive: true });
    },
  }));
}

for (const { name, run } of storeCases) {
  test(name, async () => {
    const handle = await makeStore();
    try {
      await run(handle);
    } finally {
      await handle.dispose();
    }
  });
}
