import { fileURLToPath } from 'node:url';
import type { DeviceContext, DeviceHandler } from '@towline/contract';
import { type Identity, loginEnvironment, type Program, resolveIdentity, serveProgram, startProcess } from '@towline/process';
import type { DeviceSession, SessionResult } from '@towline/protocol';
import { createFileNotes } from './device/note-files.ts';
import { FILES_PROTOCOL, type FilesBody, filesBodySchema } from './messages.ts';

/** The program, as it was built. */
const PROGRAM = fileURLToPath(new URL('../dist/device/file-program.js', import.meta.url));
/** Threads for file operations in the program: they wait for the disk more than they work. */
const FILE_THREADS = '8';

/**
 * Device half: reads and writes files by a program of its own, which runs as the user that programs run as here. Nothing is read or written
 * by the runtime itself, which may be root.
 */
export const handler: DeviceHandler<FilesBody> = {
  name: 'files',
  protocol: FILES_PROTOCOL,
  body: filesBodySchema,
  runsPrograms: true,
  async prepare(body, context) {
    const identity = await resolveIdentity({ runAs: context.runAs, uid: process.geteuid?.() ?? 0, env: process.env });
    return { answer: {}, run: (session) => run(session, { body, identity, context }) };
  },
};

interface Work {
  readonly body: FilesBody;
  readonly identity: Identity;
  readonly context: DeviceContext;
}

async function run(session: DeviceSession, { body, identity, context }: Work): Promise<SessionResult> {
  const program = await start(session, { body, identity, context });
  const [stream, reports] = program.outputs;
  const notes = createFileNotes(context, body);
  const followed = notes.follow(reports!);
  try {
    // What it told last is read to its end before it is closed.
    return await serveProgram(session, { ...program, outputs: [stream!], close: () => {} }, { log: context.log });
  } finally {
    await followed.catch(() => {});
    program.close();
    notes.finish();
  }
}

function start(session: DeviceSession, { body, identity, context: { principal } }: Work): Promise<Program> {
  const { account } = identity;
  const env = loginEnvironment({ account, session: session.id, principal, lang: process.env.LANG });
  return startProcess({
    identity,
    argv: [process.execPath, PROGRAM, JSON.stringify(body)],
    env: { ...env, UV_THREADPOOL_SIZE: FILE_THREADS },
    input: true,
  });
}
