import { isTowlineError } from '@towline/protocol';
import { type Finding, ok, skipped } from './finding.ts';
import type { Subject } from './subject.ts';

/** Says which relay is examined. @throws TowlineError `usage` when none is known, and what the settings are refused with. */
export async function checkRelay(subject: Subject): Promise<Finding> {
  try {
    const { url, source } = await subject.target();
    return ok(`The relay is ${url.origin}, by ${source}.`);
  } catch (error) {
    if (isTowlineError(error) && (error.code === 'credentials_unsafe' || error.code === 'file_damaged'))
      return skipped('Not checked, because permissions did not pass: the settings cannot be read.');
    throw error;
  }
}
