import type { CliHost } from '@towline/contract';
import { watchEndSignals } from '@towline/process/client';
import { type ClientSession, TowlineError } from '@towline/protocol';
import { RESULT_MS } from '../limits.ts';
import { FORWARD_PROTOCOL, type ForwardBody } from '../messages.ts';
import { failureOf } from './connections.ts';

/** A TCP port, as the device sees it. */
export interface TcpTarget {
  readonly host: string;
  readonly port: number;
}

/**
 * Joins stdin and stdout of this program to one TCP connection of the device, each direction at the pace of the slower. The end of stdin
 * passes on as a half-close. Resolves once the other side has ended and everything it sent was written, or nobody reads stdout any
 * more. Whoever reads stdout decides when it is over, so Ctrl-C is left to them.
 * @throws TowlineError when the opening is refused or the connection breaks.
 */
export async function joinStandardStreams(target: TcpTarget, host: CliHost): Promise<void> {
  const body = { target: { kind: 'tcp', host: target.host, port: target.port } } satisfies ForwardBody;
  const { session } = await host.openSession(FORWARD_PROTOCOL, body);
  const joined = new JoinedStreams(session, host);
  try {
    await joined.finish();
  } finally {
    joined.detach();
  }
}

class JoinedStreams {
  readonly #session: ClientSession;
  readonly #host: CliHost;
  readonly #received: Promise<void>;
  #settleReceived: () => void = () => {};
  readonly #stopWatching: () => void;
  #timer: NodeJS.Timeout | undefined;
  #farEnded = false;
  /** How it ended, when that began on this side; null for an end that is no failure. */
  #ownEnd: { readonly error: TowlineError | null } | undefined;

  constructor(session: ClientSession, host: CliHost) {
    this.#session = session;
    this.#host = host;
    this.#stopWatching = watchEndSignals(host.signal, {
      signals: ['SIGINT', 'SIGTERM', 'SIGHUP'],
      onSignal: (name) => {
        // What a terminal sends goes to all programs on it, and those that use this one may go on, as sftp does after Ctrl-C.
        if (name === 'SIGTERM') this.#giveUp(new TowlineError('cancelled'));
        if (name === 'SIGHUP') this.#giveUpSoon();
      },
      onAbort: () => this.#giveUp(new TowlineError('cancelled')),
    });
    // A stop from the keyboard is for the program that uses this one; stopped here too, the link would be taken for lost.
    if (host.stdin.isTTY !== true) process.on('SIGTSTP', this.#onStop);
    const [input, output] = [session.input(0), session.output(0)];
    host.stdout.once('error', this.#onLostReader);
    host.stdin.once('error', this.#onLostInput);
    host.stdin.pipe(output);
    input.pipe(host.stdout, { end: false });
    this.#received = new Promise((resolve) => {
      this.#settleReceived = resolve;
      input.once('end', () => this.#onFarEnd()).once('close', resolve);
    });
  }

  async finish(): Promise<void> {
    try {
      const result = await this.#session.result;
      await this.#received;
      const failure = failureOf(result);
      if (failure !== null) throw failure;
    } catch (error) {
      if (this.#ownEnd === undefined) throw error;
    }
    if (this.#ownEnd?.error) throw this.#ownEnd.error;
  }

  detach(): void {
    clearTimeout(this.#timer);
    this.#stopWatching();
    process.off('SIGTSTP', this.#onStop);
    this.#host.stdin.unpipe().pause();
    this.#host.stdin.off('error', this.#onLostInput);
  }

  readonly #onStop = (): void => {};
  readonly #onLostReader = (): void => this.#giveUp(null);
  readonly #onLostInput = (cause: Error): void =>
    this.#giveUp(new TowlineError('session_broken', `Standard input cannot be read: ${cause.message}`, { cause }));

  /** A pipe cannot tell its reader of the end while this program lives, so the end of the other side is the end of all. */
  #onFarEnd(): void {
    this.#farEnded = true;
    this.#host.stdin.unpipe();
    this.#session.output(0).end();
    this.#giveUpSoon();
    this.#settleReceived();
  }

  /** Gives the other side some time to end by itself, once whoever uses this program has ended or told it to: ssh does so by SIGHUP. */
  #giveUpSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#farEnded || this.#host.stdin.readableEnded) this.#giveUp(null);
    }, RESULT_MS);
  }

  #giveUp(error: TowlineError | null): void {
    this.#ownEnd ??= { error };
    this.#session.cancel();
    this.#settleReceived();
  }
}
