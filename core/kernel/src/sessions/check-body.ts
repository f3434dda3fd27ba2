import { type StandardSchema, TowlineError } from '@towline/contract';
import { describeIssues } from '@towline/protocol';

/** Checks the body of an open message by the handler's schema. @throws TowlineError `invalid_request`. */
export async function checkBody<Body>(schema: StandardSchema<Body>, body: unknown): Promise<Body> {
  const result = await schema['~standard'].validate(body);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path }) => ({
    message,
    path: path?.map((part) => (typeof part === 'object' ? part.key : part)) ?? [],
  }));
  throw new TowlineError('invalid_request', `The open message is not valid: ${describeIssues(issues)}.`);
}
