export { isPlainName } from '../plain-name.ts';
export * from './attach-user.ts';
export { watchEndSignals } from './end-signals.ts';
export * from './escape-sequence.ts';
export * from './exit-code.ts';
export * from './local-terminal.ts';
export * from './report-failure.ts';
export * from './secret-option.ts';
