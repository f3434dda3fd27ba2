export { acquireProcessLock, type ProcessLock, type ProcessLockOptions, withProcessLock } from './acquire-process-lock.ts';
