import type { ByteStream } from '@towline/contract';
import { frameMessage, MAX_CONTROL_MESSAGE, type MessageCodec, MessageSplitter, TowlineError, toTowlineError } from '@towline/protocol';

/** Unsent bytes at which the peer counts as one that never reads: four of the largest messages. */
const MAX_UNSENT_BYTES = 4 * MAX_CONTROL_MESSAGE;
/** Messages held until somebody takes them; beyond that the stream waits. */
const MAX_WAITING = 64;
/** A message that arrives in so many pieces is joined on the way, so that its pieces cost no more than its bytes. */
const JOIN_AFTER_PIECES = 256;

/** What every control message has. */
interface Typed {
  readonly type: string;
}

/** The messages of a control stream, in order. Echoes are answered here and never seen by the owner. */
export interface ControlChannel<Out extends Typed, In extends Typed> {
  /** Sends a message; dropped when the stream is over. A peer that does not read them loses the stream. */
  send(message: Out): void;
  /** Asks the peer for a sign of life on this stream. */
  echo(): void;
  /** Called for each further message, those that wait included. */
  onMessage(listener: (message: In) => void): void;
  /** The next message, for handshakes. @throws the error that ended the stream, or `timeout` when the signal aborts. */
  next(signal: AbortSignal): Promise<In>;
  /** Resolves when the stream is over: with its error, or null after a clean end. */
  readonly closed: Promise<TowlineError | null>;
}

/** How a control stream's messages are written and read. */
export interface ControlCodecs<Out, In> {
  readonly encode: MessageCodec<Out>;
  readonly decode: MessageCodec<In>;
}

/** Speaks control messages on a stream. A malformed one resets it with `protocol_error`. */
export function createControlChannel<Out extends Typed, In extends Typed>(
  stream: ByteStream,
  codecs: ControlCodecs<Out, In>,
): ControlChannel<Out, In> {
  return new MessageChannel(stream, codecs);
}

interface Taker<In> {
  readonly take: (message: In) => void;
  readonly fail: (error: TowlineError) => void;
}

class MessageChannel<Out extends Typed, In extends Typed> implements ControlChannel<Out, In> {
  readonly closed: Promise<TowlineError | null>;
  readonly #stream: ByteStream;
  readonly #codecs: ControlCodecs<Out, In>;
  readonly #splitter = new MessageSplitter(MAX_CONTROL_MESSAGE);
  readonly #waiting: In[] = [];
  #listener: ((message: In) => void) | null = null;
  #taker: Taker<In> | null = null;
  #error: TowlineError | null = null;
  #echoes = 0;
  #pieces = 0;

  constructor(stream: ByteStream, codecs: ControlCodecs<Out, In>) {
    this.#stream = stream;
    this.#codecs = codecs;
    stream.on('data', (bytes: Buffer) => this.#read(bytes));
    stream.on('error', (error) => this.#fail(toTowlineError(error)));
    stream.on('end', () => this.#ended());
    this.closed = new Promise((resolve) => {
      stream.once('close', () => {
        this.#taker?.fail(this.#error ?? new TowlineError('link_closed'));
        resolve(this.#error);
      });
    });
  }

  send(message: Out): void {
    if (!this.#stream.writable) return;
    this.#stream.write(frameMessage(this.#codecs.encode.encode(message)));
    if (this.#stream.writableLength > MAX_UNSENT_BYTES)
      this.#stream.destroy(new TowlineError('link_flooded', 'The peer does not read its control stream.'));
  }

  echo(): void {
    this.#echoes += 1;
    this.send({ type: 'echo', id: this.#echoes } as Typed as Out);
  }

  onMessage(listener: (message: In) => void): void {
    this.#listener = listener;
    for (const message of this.#waiting.splice(0)) listener(message);
    this.#stream.resume();
  }

  next(signal: AbortSignal): Promise<In> {
    const first = this.#waiting.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve, reject) => {
      const late = () => taker.fail(new TowlineError('timeout', 'The peer did not answer in time.', { cause: signal.reason }));
      const done = () => {
        this.#taker = null;
        signal.removeEventListener('abort', late);
      };
      const taker: Taker<In> = {
        take: (message) => {
          done();
          resolve(message);
        },
        fail: (error) => {
          done();
          reject(error);
        },
      };
      this.#taker = taker;
      if (this.#stream.destroyed) taker.fail(this.#error ?? new TowlineError('link_closed'));
      else if (signal.aborted) late();
      else signal.addEventListener('abort', late, { once: true });
      this.#stream.resume();
    });
  }

  #read(bytes: Buffer): void {
    try {
      this.#splitter.push(bytes);
      this.#joinPieces();
      for (let message = this.#splitter.next(); message !== null; message = this.#splitter.next())
        this.#take(this.#codecs.decode.decode(message));
    } catch (error) {
      this.#stream.destroy(toTowlineError(error));
    }
  }

  #joinPieces(): void {
    this.#pieces += 1;
    if (this.#pieces < JOIN_AFTER_PIECES) return;
    this.#pieces = 0;
    this.#splitter.push(this.#splitter.rest());
  }

  #ended(): void {
    if (this.#splitter.pendingBytes === 0) this.#stream.end();
    else this.#stream.destroy(new TowlineError('protocol_error', 'The peer ended its control stream in the middle of a message.'));
  }

  #take(message: In): void {
    if (message.type === 'echo') return this.send({ ...message, type: 'echo_reply' } as Typed as Out);
    if (message.type === 'echo_reply') return;
    if (this.#taker !== null) return this.#taker.take(message);
    if (this.#listener !== null) return this.#listener(message);
    this.#waiting.push(message);
    if (this.#waiting.length >= MAX_WAITING) this.#stream.pause();
  }

  #fail(error: TowlineError): void {
    this.#error ??= error;
    this.#taker?.fail(error);
  }
}
