import { chooseCredential } from '../relay/credential.ts';
import { dialBy } from '../relay/transports.ts';
import { type Finding, ok, skipped } from './finding.ts';
import type { Subject } from './subject.ts';

/** Opens a link as `exec` and `shell` do, measures a round trip on it and closes it. @throws TowlineError as dialling does. */
export async function checkLink(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { globals, host, output } = subject.context;
  const { settings } = await subject.target();
  if (settings === null) return skipped('Nobody is logged in here who could open a link.');
  const { header, value } = await chooseCredential(host.env, settings);
  const { link, transport, note } = await dialBy(
    globals.transport,
    { relay: settings.url, role: 'client', credential: { header, value }, trust: settings.trust, signal },
    { environment: host.env, warn: (text) => output.note(text) },
  );
  try {
    const works = `A link opens over ${transport}, with a round trip of ${Math.round(await link.ping(signal))} ms.`;
    return ok(note === undefined ? works : `${works} ${note}`);
  } finally {
    await link.close('link_closed', 'The check has ended.');
  }
}
