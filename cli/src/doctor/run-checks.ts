import { startDeadline } from '@towline/link';
import { TowlineError, toTowlineError } from '@towline/protocol';
import { type Finding, failed, skipped } from './finding.ts';

/** Time for a check to say what it waited for when its time is up, milliseconds. */
const LAST_WORDS_MS = 250;

/** One part that can be broken. */
export interface Check {
  readonly name: string;
  /** Names of earlier checks without which this one cannot succeed. */
  readonly needs: readonly string[];
  /** Time it may take, milliseconds. */
  readonly deadlineMs: number;
  /** Looks at the part. What it throws is its finding too: it failed. */
  run(signal: AbortSignal): Promise<Finding | readonly Finding[]>;
}

/** A finding with the name of its check. */
export interface NamedFinding extends Finding {
  readonly check: string;
}

interface Outcome {
  readonly findings: readonly Finding[];
  /** Name of the first broken part on the way here; null when the check passed. */
  readonly broken: string | null;
}

/**
 * Makes all checks, each as soon as those it needs have passed, and gives their findings in the order of the table.
 * Where one did not pass, those that need it are skipped and name it. Each ends within its deadline, whatever it does.
 */
export async function* runChecks(checks: readonly Check[], signal: AbortSignal): AsyncGenerator<NamedFinding, void, undefined> {
  const outcomes = new Map<string, Promise<Outcome>>();
  for (const check of checks) {
    const needed = check.needs.map((name) => outcomes.get(name) ?? Promise.reject(new Error(`no check ${name} before ${check.name}`)));
    outcomes.set(check.name, runCheck(check, needed, signal));
  }
  for (const [check, outcome] of outcomes) {
    for (const finding of (await outcome).findings) yield { check, ...finding };
  }
}

/** Never rejects. */
async function runCheck(check: Check, needed: readonly Promise<Outcome>[], signal: AbortSignal): Promise<Outcome> {
  try {
    const broken = (await Promise.all(needed)).find((outcome) => outcome.broken !== null)?.broken ?? null;
    if (broken !== null) return { findings: [skipped(`Not checked, because ${broken} did not pass.`)], broken };
    const findings = [await withinDeadline(check, signal)].flat();
    const passed = findings.every(({ status }) => status === 'ok' || status === 'warning');
    return { findings, broken: passed ? null : check.name };
  } catch (thrown) {
    return { findings: [failure(toTowlineError(thrown))], broken: check.name };
  }
}

async function withinDeadline(check: Check, signal: AbortSignal): Promise<Finding | readonly Finding[]> {
  const expired = () =>
    new TowlineError('timeout', `It was not done within ${check.deadlineMs / 1_000} s.`, {
      hint: 'The network is very slow, or something on the way swallows what is sent.',
    });
  using deadline = startDeadline(check.deadlineMs, expired, signal);
  return await Promise.race([check.run(deadline.signal), rejectAfter(deadline.signal)]);
}

/** For work that does not listen to the signal. What does listen has its own words for what was not answered, and a moment to say them. */
function rejectAfter(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = () => void setTimeout(() => reject(signal.reason), LAST_WORDS_MS);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function failure(error: TowlineError): Finding {
  if (error.code !== 'internal' || error.detail === undefined) return failed(error.message, error.hint);
  return failed(`The check itself failed: ${error.detail}`, 'This is a fault of the program.');
}
