import type { Reply, Request } from '../thread-messages.ts';
import { encodeError } from './fault.ts';
import { type Operation, runOperation } from './operation.ts';

/** Runs operations that take their time and leave the thread free meanwhile; each is answered by itself. */
export function createSlowWork(
  operations: Readonly<Record<string, Operation>>,
  answer: (replies: readonly Reply[]) => void,
): (requests: readonly Request[]) => void {
  const run = async (request: Request): Promise<Reply> => {
    try {
      return { id: request.id, value: await runOperation(operations, request) };
    } catch (error) {
      return { id: request.id, error: encodeError(error) };
    }
  };
  return (requests) => {
    for (const request of requests) void run(request).then((reply) => answer([reply]));
  };
}
