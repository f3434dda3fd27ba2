import type { CliHost } from '@towline/contract';
import { type ClientSession, TowlineError } from '@towline/protocol';
import { copyOutput } from './copy-output.ts';
import { type EndSignal, watchEndSignals } from './end-signals.ts';
import { EscapeSequence } from './escape-sequence.ts';
import { exitCodeOf, exitCodeOfSignal } from './exit-code.ts';
import type { LocalTerminal } from './local-terminal.ts';
import { errorOfResult } from './report-failure.ts';
import { UserInput } from './user-input.ts';

/** What of the user's side takes part in a session. */
export interface Attachment {
  readonly host: CliHost;
  /** Whether what the user types or pipes in is sent. */
  readonly input: boolean;
  /** The user's terminal, when the program on the device has one too and input comes from it. */
  readonly terminal: LocalTerminal | null;
}

/** A second Ctrl-C within this time gives the session up, milliseconds. */
const SECOND_INTERRUPT_MS = 1_000;

/**
 * Joins the user to a session: input, outputs, size, signals. Resolves with the exit code for this program once all output was
 * written. @throws TowlineError when the session fails or this program cannot write its output.
 */
export async function attachUser(session: ClientSession, attachment: Attachment): Promise<number> {
  const attached = new AttachedUser(session, attachment);
  try {
    return await attached.finish();
  } finally {
    attached.detach();
  }
}

class AttachedUser {
  readonly #session: ClientSession;
  readonly #attachment: Attachment;
  readonly #input: UserInput | null;
  readonly #copies: Promise<unknown>;
  readonly #stopWatching: () => void;
  #interruptedAt = Number.NEGATIVE_INFINITY;
  /** Exit code or error of an end that began on this side. */
  #gaveUp: number | TowlineError | null = null;

  constructor(session: ClientSession, attachment: Attachment) {
    const { host, terminal } = attachment;
    this.#session = session;
    this.#attachment = attachment;
    this.#stopWatching = watchEndSignals(host.signal, {
      signals: terminal ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : ['SIGINT', 'SIGTERM'],
      onSignal: (name) => this.#onSignal(name),
      onAbort: () => this.#giveUp(new TowlineError('cancelled')),
    });
    terminal?.enterRaw((size) => this.#send({ resize: { ...size } }));
    this.#input = attachment.input ? this.#readInput() : null;
    const copies = [copyOutput(session.input(0), host.stdout), copyOutput(session.input(1), host.stderr)];
    this.#copies = Promise.all(copies).catch((error: NodeJS.ErrnoException) => this.#giveUp(outcomeOfWrite(error)));
  }

  async finish(): Promise<number> {
    try {
      const result = await this.#session.result;
      await this.#copies;
      if (this.#gaveUp === null) return exitCodeOf(result) ?? fail(errorOfResult(result));
    } catch (error) {
      if (this.#gaveUp === null) throw error;
    }
    return typeof this.#gaveUp === 'number' ? this.#gaveUp : fail(this.#gaveUp);
  }

  detach(): void {
    this.#attachment.terminal?.restore();
    this.#input?.stop();
    this.#stopWatching();
  }

  #readInput(): UserInput {
    const { host, terminal } = this.#attachment;
    if (terminal === null) return new UserInput(host.stdin, this.#session.output(0));
    const wayOut = new EscapeSequence();
    return new UserInput(host.stdin, this.#session.output(0), (typed) => {
      const { bytes, left } = wayOut.take(typed);
      if (left) this.#giveUp(new TowlineError('cancelled', 'The session was left.', { hint: 'What it ran is ended on the device.' }));
      return bytes;
    });
  }

  #onSignal(name: EndSignal): void {
    const before = this.#interruptedAt;
    this.#interruptedAt = performance.now();
    if (name === 'SIGINT' && this.#interruptedAt - before > SECOND_INTERRUPT_MS) this.#send({ signal: 'INT' });
    else this.#giveUp(exitCodeOfSignal(name));
  }

  #giveUp(outcome: number | TowlineError): void {
    this.#gaveUp ??= outcome;
    this.#session.cancel();
  }

  #send(message: { readonly signal: 'INT' } | { readonly resize: { readonly cols: number; readonly rows: number } }): void {
    // Fails only when the session is over, which its result tells.
    this.#session.send(message).catch(() => {});
  }
}

/** Nobody reading any more (`| head`) is how many programs are ended, and no fault: 128 + SIGPIPE. */
function outcomeOfWrite(error: NodeJS.ErrnoException): number | TowlineError {
  if (error.code === 'EPIPE') return exitCodeOfSignal('SIGPIPE');
  return new TowlineError('internal', `The output could not be written: ${error.message}`, {
    hint: 'What the program on the device had written so far is incomplete here.',
    cause: error,
  });
}

function fail(error: TowlineError | null): never {
  throw error ?? new TowlineError('internal');
}
