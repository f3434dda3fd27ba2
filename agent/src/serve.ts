import type { ByteStream, Clock, DeviceContext, DeviceHandler, Log, PreparedSession } from '@towline/contract';
import {
  type DeviceOpen,
  decodeSecrets,
  defined,
  describeIssues,
  frameMessage,
  fromPublicError,
  openAnswer,
  refuse,
  relayOpen,
  type SecretValue,
  type SessionId,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import type { GrantCheck, GrantedOpen } from './grant-check.ts';
import type { SessionJournal } from './journal.ts';
import type { Admission, LiveSession, LiveSessions } from './live-sessions.ts';
import { runSession } from './run-session.ts';

/** Time in which a handler must have prepared a session, milliseconds: it only looks things up. */
const PREPARE_DEADLINE_MS = 10_000;
/** How long a stream of which this side is done may wait for the other side's end, milliseconds. */
const LINGER_MS = 10_000;

/** What streams are served with. */
export interface ServeHost {
  readonly device: { readonly id: string; readonly name: string };
  /** By protocol name. */
  readonly handlers: ReadonlyMap<string, DeviceHandler>;
  readonly sessions: LiveSessions;
  readonly journal: SessionJournal;
  readonly runAs: string | undefined;
  /** Whether this process is root, so that programs need `runAs`. */
  readonly isRoot: boolean;
  readonly log: Log;
  readonly clock: Clock;
}

/** Serves one stream that the relay opened, from its grant to its end. Resolves when it is over; never rejects. */
export async function serveStream(stream: ByteStream, check: GrantCheck, host: ServeHost): Promise<void> {
  // Whoever uses the stream learns of its end; before that there is nobody to tell.
  stream.on('error', () => {});
  let admitted: Admitted;
  try {
    admitted = await admit(stream, check, host);
  } catch (error) {
    return refuseStream(stream, toTowlineError(error), host.log);
  }
  await begin(stream, admitted, host);
}

interface Admitted extends GrantedOpen {
  readonly live: LiveSession;
  readonly prepared: PreparedSession;
  /** The encoded answer, so that one that is too large is found before anything starts. */
  readonly answer: Buffer;
}

async function admit(stream: ByteStream, check: GrantCheck, host: ServeHost): Promise<Admitted> {
  const granted = check.admit(relayOpen.decode(stream.head));
  const { open, grant } = granted;
  const handler = chooseHandler(open, host);
  // Labels are for people, and two principals may have the same.
  const account = grant.account ?? grant.principal;
  const live = takePlace(open, { kind: handler.countsAs ?? 'session', account }, host);
  let prepared: PreparedSession | undefined;
  try {
    const body = await checkBody(handler, open);
    const { log, clock, device, runAs, journal } = host;
    const note: DeviceContext['note'] = (said) => journal.note(live.id, said);
    const secrets = defined({ secrets: takeSecrets(handler, open) });
    const context = { log, clock, device, runAs, principal: grant.principal, account, note, ...secrets };
    prepared = await withinDeadline(stream, (signal) => handler.prepare(body, { ...context, signal }));
    const answer = openAnswer.encode({ status: 'accepted', received: 0, body: prepared.answer });
    return { ...granted, live, prepared, answer: frameMessage(answer) };
  } catch (error) {
    prepared?.abandon?.();
    live.release();
    throw error;
  }
}

function chooseHandler(open: DeviceOpen, host: ServeHost): DeviceHandler {
  const handler = host.handlers.get(open.protocol);
  if (handler === undefined) throw new TowlineError('stream_not_served', `This device does not serve ${open.protocol}.`);
  if (handler.runsPrograms && host.isRoot && host.runAs === undefined) throw new TowlineError('run_as_required');
  return handler;
}

function takePlace(open: DeviceOpen, admission: Admission, { journal, sessions }: ServeHost): LiveSession {
  if (open.resume !== undefined) throw new TowlineError('not_found', 'The session is not on the device any more.');
  if (journal.full) {
    throw new TowlineError(
      'session_limit',
      'The device has reported so many sessions that the relay has not taken note of that it begins no more.',
    );
  }
  return sessions.admit(open.session as SessionId, admission);
}

async function checkBody(handler: DeviceHandler, open: DeviceOpen): Promise<unknown> {
  const checked = await handler.body['~standard'].validate(open.body);
  if (checked.issues === undefined) return checked.value;
  const issues = checked.issues.map(({ message, path = [] }) => ({
    message,
    path: path.map((key) => (typeof key === 'object' ? key.key : key)),
  }));
  throw new TowlineError('invalid_request', `The device cannot serve this ${open.protocol} request: ${describeIssues(issues)}.`);
}

/** Covered by the grant like all of the open message. A handler that would not use them must not run without. */
function takeSecrets({ takesSecrets = false }: DeviceHandler, { protocol, secrets }: DeviceOpen): readonly SecretValue[] | undefined {
  if (secrets === undefined) return undefined;
  if (!takesSecrets) throw new TowlineError('invalid_request', `${protocol} takes no secrets on this device.`);
  return decodeSecrets(secrets);
}

/** Prepares a session as long as its opener waits for it, and not for ever. What comes of it too late is given back. */
async function withinDeadline(stream: ByteStream, prepare: (signal: AbortSignal) => Promise<PreparedSession>): Promise<PreparedSession> {
  const giveUp = new AbortController();
  const leave = () => giveUp.abort(new TowlineError('cancelled', 'Whoever opened the session has left.'));
  const late = () => giveUp.abort(new TowlineError('timeout', 'The device could not prepare the session in time.'));
  const timer = setTimeout(late, PREPARE_DEADLINE_MS);
  stream.once('close', leave);
  const preparing = prepare(giveUp.signal);
  const givenUp = new Promise<never>((_resolve, reject) => {
    giveUp.signal.addEventListener('abort', () => reject(giveUp.signal.reason), { once: true });
  });
  try {
    return await Promise.race([preparing, givenUp]);
  } catch (error) {
    preparing.then(
      (prepared) => prepared.abandon?.(),
      () => {},
    );
    throw error;
  } finally {
    clearTimeout(timer);
    stream.off('close', leave);
  }
}

async function begin(stream: ByteStream, { open, grant, live, prepared, answer }: Admitted, host: ServeHost): Promise<void> {
  const { log, journal } = host;
  const session = open.session as SessionId;
  try {
    // Nothing has begun, so there is nothing to report.
    if (stream.destroyed) return prepared.abandon?.();
    journal.start(session, open.protocol);
    log.info('session opened', { session, protocol: open.protocol, by: grant.principal });
    stream.write(answer);
    const account = await runSession(stream, live, { prepared, log });
    journal.end(account);
    log.info('session ended', { session, reason: account.end.reason, exit: account.end.exit_code ?? account.end.signal });
  } finally {
    live.release();
    lingerOver(stream);
  }
}

function refuseStream(stream: ByteStream, error: TowlineError, log: Log): void {
  const { code, message, detail } = error;
  log.warn('stream refused', { code, message, detail });
  if (stream.destroyed) return;
  // Texts of handlers may be longer than an answer may carry.
  stream.end(frameMessage(openAnswer.encode(refuse(fromPublicError(error.toPublic())))));
  lingerOver(stream);
}

/** Lets the peer read what was said and end its side, but not for ever. */
function lingerOver(stream: ByteStream): void {
  if (stream.destroyed) return;
  stream.resume();
  const linger = setTimeout(() => stream.destroy(), LINGER_MS);
  stream.once('close', () => clearTimeout(linger));
}
