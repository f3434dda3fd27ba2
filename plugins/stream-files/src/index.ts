export { plugin } from './relay.ts';
