import type { DeviceContext, DeviceHandler } from '@towline/contract';
import {
  checkShell,
  type Identity,
  loadPtyBinding,
  loginEnvironment,
  loginShell,
  openPty,
  type Pty,
  resolveIdentity,
  serveProgram,
} from '@towline/process';
import type { DeviceSession, JsonObject } from '@towline/protocol';
import { SHELL_PROTOCOL, type ShellBody, shellBodySchema, shellControlSchema } from './messages.ts';

/** Device half: the user's login shell on a terminal of its own. */
export const handler: DeviceHandler<ShellBody> = {
  name: 'shell',
  protocol: SHELL_PROTOCOL,
  body: shellBodySchema,
  runsPrograms: true,
  takesSecrets: true,
  async prepare(body, context) {
    const identity = await resolveIdentity({ runAs: context.runAs, uid: process.geteuid?.() ?? 0, env: process.env });
    await checkShell(identity.account);
    loadPtyBinding();
    return { answer: {}, run: (session) => run(session, start(body, identity, { context, session }), context) };
  },
};

async function run(session: DeviceSession, started: Promise<Pty>, { log }: DeviceContext) {
  session.onMessage((message) => {
    // That it could not be started is reported where it is awaited.
    started.then((pty) => control(pty, message)).catch(() => {});
  });
  return serveProgram(session, await started, { log });
}

function start(
  { cols, rows, term, lang }: ShellBody,
  identity: Identity,
  { context, session }: { context: DeviceContext; session: DeviceSession },
): Promise<Pty> {
  const { account } = identity;
  const { principal, secrets } = context;
  const env = loginEnvironment({ account, session: session.id, principal, term, lang: lang ?? process.env.LANG, secrets });
  return openPty({ identity, argv: loginShell(account, secrets), env, cols, rows });
}

/** Obeys a message of the client. One that is not known is of a later version and means nothing here. */
function control(pty: Pty, message: JsonObject): void {
  const { data } = shellControlSchema.safeParse(message);
  if (data === undefined) return;
  if ('resize' in data) pty.resize(data.resize.cols, data.resize.rows);
  // As a key: the terminal knows which job is in the foreground.
  else pty.input.write(Buffer.of(0x03));
}
