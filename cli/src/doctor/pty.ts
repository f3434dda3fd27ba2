import { isTowlineError, TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { type Finding, failed, ok, warning } from './finding.ts';
import type { Subject } from './subject.ts';
import { readThisDevice } from './this-device.ts';

/** What the program on the terminal says when it finds itself on one. */
const ANSWER = 'on-a-terminal';

/**
 * Opens a terminal, runs a program on it and reads what it says. Shells on this machine need one; a machine that is no
 * device does well without.
 */
export async function checkPty({ context, dir }: Subject, signal: AbortSignal): Promise<Finding> {
  try {
    await tryTerminal(context.host.env, signal);
    return ok('A terminal opens, so shells can be served.');
  } catch (error) {
    if (!isTowlineError(error)) throw error;
    const { message, hint } = localText(error);
    return (await readThisDevice(dir)) !== null
      ? failed(message, hint)
      : warning(message, `${hint} Only a device that serves shells needs it.`);
  }
}

async function tryTerminal(env: Host['env'], signal: AbortSignal): Promise<void> {
  const { openPty, ownAccount } = await import('@towline/process');
  const identity = { account: ownAccount(env), switchUser: [] };
  const argv = ['/bin/sh', '-c', `test -t 0 && test -t 1 && echo ${ANSWER}`];
  const pty = await openPty({ identity, argv, env: { PATH: '/usr/bin:/bin' }, cols: 80, rows: 24 });
  const stop = () => pty.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    let said = '';
    for await (const chunk of pty.outputs[0]!) {
      said += String(chunk);
      if (said.includes(ANSWER)) return;
    }
    throw new TowlineError('pty_unavailable', 'A terminal opens, but a program on it does not find itself on a terminal.', {
      hint: 'Check that /dev/pts is mounted on this machine.',
    });
  } finally {
    signal.removeEventListener('abort', stop);
    await pty.end();
    pty.close();
  }
}

/** These errors are read by users far away and speak of the device; here that is this machine. */
function localText({ message, hint }: TowlineError): { readonly message: string; readonly hint: string } {
  const local = (text: string) => text.replaceAll('the device', 'this machine').replaceAll('The device', 'This machine');
  return { message: local(message), hint: local(hint) };
}
