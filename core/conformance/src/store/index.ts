export * from './cases.ts';
export { describeStore } from './describe-store.ts';
