import type { DeviceContext, DeviceHandler } from '@towline/contract';
import {
  checkShell,
  type Identity,
  loadPtyBinding,
  loginCommand,
  loginEnvironment,
  openPty,
  type Program,
  type Pty,
  resolveIdentity,
  serveProgram,
  startProcess,
} from '@towline/process';
import type { DeviceSession, JsonObject } from '@towline/protocol';
import { EXEC_PROTOCOL, type ExecBody, execBodySchema, execControlSchema } from './messages.ts';

/** Device half: runs the command in the login environment of the user, and ends it with the session. */
export const handler: DeviceHandler<ExecBody> = {
  name: 'exec',
  protocol: EXEC_PROTOCOL,
  body: execBodySchema,
  runsPrograms: true,
  takesSecrets: true,
  async prepare(body, context) {
    const identity = await resolveIdentity({ runAs: context.runAs, uid: process.geteuid?.() ?? 0, env: process.env });
    await checkShell(identity.account);
    if (body.tty) loadPtyBinding();
    return { answer: {}, run: (session) => run(session, start(body, identity, { context, session }), context) };
  },
};

async function run(session: DeviceSession, started: Promise<Program | Pty>, { log }: DeviceContext) {
  session.onMessage((message) => {
    // That it could not be started is reported where it is awaited.
    started.then((program) => control(program, message)).catch(() => {});
  });
  return serveProgram(session, await started, { log });
}

function start(
  { argv, tty, stdin }: ExecBody,
  identity: Identity,
  { context, session }: { context: DeviceContext; session: DeviceSession },
): Promise<Program | Pty> {
  const env = loginEnvironment({
    account: identity.account,
    session: session.id,
    principal: context.principal,
    term: tty?.term,
    lang: process.env.LANG,
    secrets: context.secrets,
  });
  const words = loginCommand(identity.account, argv as [string, ...string[]], context.secrets);
  if (tty) return openPty({ identity, argv: words, env, cols: tty.cols, rows: tty.rows });
  return startProcess({ identity, argv: words, env, input: stdin });
}

/** Obeys a message of the client. One that is not known is of a later version and means nothing here. */
function control(program: Program | Pty, message: JsonObject): void {
  const { data } = execControlSchema.safeParse(message);
  if (data === undefined) return;
  if ('resize' in data) {
    if ('resize' in program) program.resize(data.resize.cols, data.resize.rows);
  } else if ('resize' in program && data.signal === 'INT') {
    // As a key: the terminal knows which job is in the foreground.
    program.input.write(Buffer.of(0x03));
  } else program.signal(`SIG${data.signal}`);
}
