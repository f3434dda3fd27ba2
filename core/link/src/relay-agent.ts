import { Agent, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { toTowlineError } from '@towline/protocol';
import type { RelayConnector } from './trust/relay-connector.ts';

/** Connections to one relay at once. */
const MAX_SOCKETS = 8;

/** An HTTPS agent whose connections all come from a connector, so that requests only meet verified ones. */
export class RelayAgent extends Agent {
  readonly #connector: RelayConnector;
  readonly #closing = new AbortController();

  constructor(connector: RelayConnector) {
    super({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: 'lifo' });
    this.#connector = connector;
  }

  /** Asked by node:http for each new connection; the answer comes through the callback. */
  override createConnection(_options: RequestOptions, callback?: (error: Error | null, socket: Duplex) => void): undefined {
    this.#connector.connect(this.#closing.signal).then(
      (socket) => callback?.(null, socket),
      // The type asks for a socket, which there is none of beside an error.
      (error: unknown) => callback?.(toTowlineError(error), undefined as unknown as Duplex),
    );
    return undefined;
  }

  /** Ends all connections, also those under way. */
  override destroy(): void {
    this.#closing.abort();
    super.destroy();
  }
}
