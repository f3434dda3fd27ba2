import type { ByteStream, Link, OpenedSession } from '@towline/contract';
import { cancellation, readMessage } from '@towline/link';
import {
  clientOpen,
  createClientSession,
  createId,
  isTowlineError,
  type JsonObject,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  refusalError,
  type SessionId,
} from '@towline/protocol';

/** Time for relay and device to answer an opening, milliseconds: a grant is valid for a minute, a slow device starts within. */
const ANSWER_DEADLINE_MS = 45_000;

/** What is to be opened. */
export interface Opening {
  /** As the user named the device. */
  readonly device: string;
  readonly protocol: string;
  readonly body: JsonObject;
  readonly signal: AbortSignal;
}

/** Opens a session on a device over a link. @throws TowlineError what relay or device refused it with, `timeout`, `cancelled`. */
export async function openSession(link: Link, opening: Opening): Promise<OpenedSession> {
  const id = createId<SessionId>();
  const { protocol, device, body } = opening;
  const stream = link.openStream(clientOpen.encode({ protocol, device, session: id, body }));
  const answer = await readAnswer(stream, opening.signal).catch((error: unknown) => {
    stream.destroy(isTowlineError(error) ? error : undefined);
    throw error;
  });
  if (answer.status === 'refused') {
    stream.end();
    throw refusalError(answer);
  }
  return { session: createClientSession(stream, id), answer: answer.body, device: deviceOf(answer, device) };
}

async function readAnswer(stream: ByteStream, signal: AbortSignal): Promise<OpenAnswer> {
  try {
    return openAnswer.decode(
      await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_DEADLINE_MS)])),
    );
  } catch (error) {
    throw signal.aborted ? cancellation(signal) : error;
  }
}

/** A relay that names no device is of another version; what the user typed is all there is then. */
function deviceOf(answer: Extract<OpenAnswer, { status: 'accepted' }>, named: string): OpenedSession['device'] {
  return answer.device ?? { id: '', name: named, fingerprint: '' };
}
