import { PassThrough } from 'node:stream';
import { receiveFiles } from '../src/receive/receive-files.ts';
import { openTarget } from '../src/receive/target.ts';
import { sendFiles } from '../src/send/send-files.ts';
import { copyName, openSource } from '../src/send/source.ts';

/** Both ends of a copy in this process, with two pipes between. Answers what failed or was left out: path and code. */
export async function copyHere(source: string, to: string): Promise<string[]> {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const [opened, target] = [await openSource(source, copyName(source)), await openTarget(to, false)];
  const failures: string[] = [];
  const sending = sendFiles({ input: back, output: there, source: opened, count: true, observer: {} });
  const receiving = receiveFiles({
    input: there,
    output: back,
    target,
    observer: {
      onOutcome: ({ path, status, code }) => void (status === 'failed' && failures.push(`${path.toString('latin1')} ${code}`)),
      onOmitted: (path, code) => void failures.push(`${path.toString('latin1')} ${code}`),
    },
  });
  await Promise.all([sending.then(() => there.end()), receiving]);
  return failures;
}
