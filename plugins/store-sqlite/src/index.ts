export { plugin } from './plugin.ts';
export { SqliteStore, type StoreStats } from './sqlite-store.ts';
