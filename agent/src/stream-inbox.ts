import type { ByteStream, Link } from '@towline/contract';
import { CONTROL_PROTOCOL, decodeJson, MAX_STREAM_HEAD, TowlineError } from '@towline/protocol';

/** Streams that may wait while the device is still logging in: a relay opens the first just behind its welcome. */
const MAX_WAITING = 64;

/** Takes the streams of a link from its first moment on: the control stream first, the others when the device is ready. */
export class StreamInbox {
  readonly control: Promise<ByteStream>;
  #waiting: ByteStream[] = [];
  #resolveControl: ((stream: ByteStream) => void) | null = null;
  #rejectControl!: (error: TowlineError) => void;
  #serve: ((stream: ByteStream) => void) | null = null;

  constructor(link: Link) {
    this.control = new Promise((resolve, reject) => {
      this.#resolveControl = resolve;
      this.#rejectControl = reject;
    });
    this.control.catch(() => {});
    link.onStream((stream) => this.#take(stream));
  }

  /** Gives up the wait for a control stream. */
  fail(error: TowlineError): void {
    this.#rejectControl(error);
  }

  /** Hands on the streams that wait, and all that come. */
  open(serve: (stream: ByteStream) => void): void {
    this.#serve = serve;
    for (const stream of this.#waiting.splice(0)) serve(stream);
  }

  #take(stream: ByteStream): void {
    if (this.#serve) return this.#serve(stream);
    // Nobody listens to it yet, and its error must not end the process.
    stream.on('error', () => {});
    if (this.#resolveControl) return this.#takeFirst(stream);
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(stream);
    else stream.destroy(new TowlineError('unavailable', 'The device is still logging in.'));
  }

  #takeFirst(stream: ByteStream): void {
    if (isControl(stream)) this.#resolveControl!(stream);
    else this.fail(new TowlineError('protocol_error', 'The relay opened another stream before the control stream.'));
    this.#resolveControl = null;
  }
}

function isControl({ head }: ByteStream): boolean {
  try {
    const opened = decodeJson(head, MAX_STREAM_HEAD) as { readonly protocol?: unknown } | null;
    return opened?.protocol === CONTROL_PROTOCOL;
  } catch {
    return false;
  }
}
