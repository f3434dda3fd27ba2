import type { Duplex } from 'node:stream';
import { TowlineError } from '../errors/towline-error.ts';
import type { SessionId } from '../ids.ts';
import { SessionCore } from './core.ts';
import { SessionFrame } from './frames.ts';
import type { SessionResult } from './result.ts';
import type { DeviceSession } from './session-contract.ts';

/** The device's end of a session and how it is finished. */
export interface DeviceSessionEnd {
  readonly session: DeviceSession;
  /**
   * Sends the result after all output, waits until the client has everything, and ends the stream.
   * Rejects with the cause when the session breaks before.
   */
  finish(result: SessionResult): Promise<void>;
  /** Ends the session from this side, without a result. */
  abort(error: TowlineError): void;
}

/** Begins the device's end on a stream whose `accepted` answer has been sent. */
export function createDeviceSession(stream: Duplex, id: SessionId): DeviceSessionEnd {
  const core = new SessionCore(stream, id, {
    onResult: () => core.break(new TowlineError('protocol_error', 'The client sent a result.')),
    onBroken: () => {},
  });
  return {
    session: {
      id,
      signal: core.signal,
      input: (channel) => core.input(channel),
      output: (channel) => core.output(channel),
      send: (message) => core.send(message),
      onMessage: (listener) => core.onMessage(listener),
      get bytesToDevice() {
        return core.bytesIn;
      },
      get bytesFromDevice() {
        return core.outputs.bytes;
      },
    },
    async finish(result) {
      await core.outputs.finish();
      await core.sendJson(SessionFrame.result, result);
      // What the client still sends is of no use; it must not keep the result's acknowledgement waiting.
      core.inputs.discard();
      await new Promise<void>((resolve, reject) =>
        core.sender.whenAcknowledged((error) => {
          if (error) return reject(error);
          core.complete(result);
          resolve();
        }),
      );
    },
    abort: (error) => core.break(error),
  };
}
