import type { Request } from '../thread-messages.ts';

/** What a thread does for one call. Its arguments were checked by types where the call was made. */
export type Operation = (...args: never[]) => unknown;

/** Runs the operation a request names. */
export function runOperation(operations: Readonly<Record<string, Operation>>, request: Request): unknown {
  const operation = operations[request.operation];
  if (!operation) throw new Error(`no operation ${request.operation}`);
  return operation(...(request.args as never[]));
}
