export { MongoStore } from './mongo-store.ts';
export { plugin } from './plugin.ts';
