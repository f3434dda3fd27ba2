import type { Reply, Request } from '../thread-messages.ts';
import { encodeError } from './fault.ts';
import type { Work } from './group-commit.ts';
import { type Operation, runOperation } from './operation.ts';

/** Runs operations that open and end their transactions by themselves. */
export function createPlainWork(operations: Readonly<Record<string, Operation>>): Work {
  const run = (request: Request): Reply => {
    try {
      return { id: request.id, value: runOperation(operations, request) };
    } catch (error) {
      return { id: request.id, error: encodeError(error) };
    }
  };
  return (requests) => ({ replies: requests.map(run), commits: 0 });
}
