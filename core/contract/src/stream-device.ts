import type { DeviceSession, JsonObject, NoteDetail, SecretValue, SessionResult } from '@towline/protocol';
import type { Clock, Log, StandardSchema } from './plugin.ts';

/** What a device handler is told and given. */
export interface DeviceContext {
  readonly log: Log;
  readonly clock: Clock;
  /** Label of whoever opened the session, for the device's own log and the session's environment. */
  readonly principal: string;
  /** Stands for whoever opened the session, for shares and counts: the same in all their sessions, and in nobody else's. */
  readonly account: string;
  readonly device: { readonly id: string; readonly name: string };
  /** User to run as; absent: as the runtime itself. Never absent when the runtime is root. */
  readonly runAs: string | undefined;
  /** For the environment of what runs, and for nothing else; their names and values are checked. Absent: there are none. */
  readonly secrets?: readonly SecretValue[];
  /** Aborts when whoever opened the session has left before it began, or when preparing it takes too long. */
  readonly signal: AbortSignal;
  /**
   * Notes for the audit trail something that the session did, as a file it wrote. From the beginning of `run` to its end. The
   * detail is at most `MAX_NOTE_DETAIL` bytes of JSON, without secrets. False when the journal has no room: nothing was noted, and
   * whoever notes says later how much was left out.
   */
  note(note: SessionNote): boolean;
}

/** Something that a session did. */
export interface SessionNote {
  readonly outcome: 'ok' | 'failed';
  readonly detail: NoteDetail;
}

/** A session that can begin: what the client is told, and what runs. */
export interface PreparedSession {
  /** Body of the `accepted` answer. */
  readonly answer: JsonObject;
  /**
   * Serves the session until it is over. Must end soon after `session.signal` aborts, with everything it
   * started ended. What it returns is sent as the result, after all output.
   */
  run(session: DeviceSession): Promise<SessionResult>;
  /** Called instead of `run` when the session does not begin after all: gives back what preparing took, as a connection. */
  abandon?(): void;
}

/** Device half of a stream plugin. */
export interface DeviceHandler<Body = unknown> {
  /** Name used in device.yaml, as `shell`. */
  readonly name: string;
  readonly protocol: string;
  /** Schema of the body the relay half built. */
  readonly body: StandardSchema<Body>;
  /** Whether it runs programs: a root runtime needs `run_as` to serve it. */
  readonly runsPrograms: boolean;
  /** Whether it puts the secrets of the context into the environment; an opening with secrets is refused otherwise. */
  readonly takesSecrets?: boolean;
  /** Its sessions are many and light, as the connections of a forward: `limits.connections` of device.yaml bounds them, and not `limits.sessions`. */
  readonly countsAs?: 'connection';
  /** Prepares a session; nothing is started before `run` that `abandon` does not end. @throws TowlineError to refuse. */
  prepare(body: Body, context: DeviceContext): Promise<PreparedSession>;
}
