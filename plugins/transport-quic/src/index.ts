export { loadQuiche } from './binding/load-quiche.ts';
