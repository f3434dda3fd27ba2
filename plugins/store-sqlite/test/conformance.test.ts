import { describeStore } from '@towline/conformance/store';
import { makeStore } from './open-store.ts';

describeStore('SQLite', makeStore);
