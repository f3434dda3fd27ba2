import { TowlineError, toTowlineError } from '../errors/towline-error.ts';
import { FRAME_HEAD_BYTES, FRAME_RULES, type FRAME_TYPE, type FrameRule, MAX_CREDIT } from './frames.ts';
import { PartialPayload } from './partial-payload.ts';

/**
 * What a {@link FrameDecoder} finds, frame by frame. The head of a stream is the sink's to keep; other buffers are
 * views of what was pushed: who keeps a small part of a large read keeps all of it alive.
 */
export interface FrameSink {
  onOpen(stream: number, head: Buffer): void;
  /** Bytes of a DATA frame as they arrive: one frame may come in several calls. */
  onData(stream: number, bytes: Buffer): void;
  onFin(stream: number): void;
  onReset(stream: number, wire: number): void;
  onCredit(stream: number, bytes: number): void;
  onPing(opaque: Buffer): void;
  onPong(opaque: Buffer): void;
  onClose(wire: number, text: string): void;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Cuts the byte stream of a link into frames, however it arrives. Holds at most one incomplete frame that is
 * not DATA, in memory that grows with the bytes received and never by an announced length.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #head = new PartialPayload();
  readonly #payload = new PartialPayload();
  #rule: FrameRule | null = null;
  #stream = 0;
  #left = 0;
  #stopped = false;
  #fault: TowlineError | null = null;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Bytes held of an incomplete frame. */
  get pendingBytes(): number {
    return this.#head.length + this.#payload.length;
  }

  /**
   * Takes bytes in and calls the sink for what they complete.
   * @throws TowlineError `protocol_error` for bytes that are no frame, then again at each further call; whatever the sink throws.
   */
  push(bytes: Buffer): void {
    if (this.#fault) throw this.#fault;
    try {
      for (let at = 0; at < bytes.length && !this.#stopped; )
        at += this.#rule === null ? this.#takeHead(bytes, at) : this.#takePayload(bytes, at);
    } catch (error) {
      this.#fault = toTowlineError(error);
      throw this.#fault;
    }
  }

  /** Ignores all that follows, also what is left of the bytes being pushed. May be called by the sink. */
  stop(): void {
    this.#stopped = true;
    this.#payload.clear();
  }

  #takeHead(bytes: Buffer, at: number): number {
    if (this.#head.length === 0 && bytes.length - at >= FRAME_HEAD_BYTES) {
      this.#begin(bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4));
      return FRAME_HEAD_BYTES;
    }
    const taken = Math.min(FRAME_HEAD_BYTES - this.#head.length, bytes.length - at);
    this.#head.append(bytes.subarray(at, at + taken));
    if (this.#head.length === FRAME_HEAD_BYTES) {
      const head = this.#head.take();
      this.#begin(head.readUInt32BE(0), head.readUInt32BE(4));
    }
    return taken;
  }

  #begin(typeAndLength: number, stream: number): void {
    const type = typeAndLength >>> 24;
    const length = typeAndLength & 0xffffff;
    const rule = FRAME_RULES[type];
    if (!rule) throw malformed(`a frame of the unknown type ${type}`);
    if (length < rule.minBytes || length > rule.maxBytes) throw malformed(`a frame ${rule.name} of ${length} bytes`);
    if (rule.link !== (stream === 0)) throw malformed(`a frame ${rule.name} for stream ${stream}`);
    if (length === 0) return this.#sink.onFin(stream);
    this.#rule = rule;
    this.#stream = stream;
    this.#left = length;
  }

  #takePayload(bytes: Buffer, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at);
    const part = bytes.subarray(at, at + taken);
    const rule = this.#rule!;
    this.#left -= taken;
    if (this.#left === 0) this.#rule = null;
    if (rule.name === 'data') this.#sink.onData(this.#stream, part);
    else if (rule.name !== 'open' && this.#left === 0 && this.#payload.length === 0) this.#finish(rule.name, part);
    else {
      this.#payload.append(part);
      if (this.#left === 0) this.#finish(rule.name, this.#payload.take());
    }
    return taken;
  }

  #finish(type: keyof typeof FRAME_TYPE, payload: Buffer): void {
    const stream = this.#stream;
    if (type === 'open') this.#sink.onOpen(stream, payload);
    else if (type === 'reset') this.#sink.onReset(stream, payload.readUInt32BE(0));
    else if (type === 'credit') this.#sink.onCredit(stream, checkCredit(payload.readUInt32BE(0)));
    else if (type === 'ping') this.#sink.onPing(payload);
    else if (type === 'pong') this.#sink.onPong(payload);
    else this.#sink.onClose(payload.readUInt32BE(0), decodeText(payload.subarray(4)));
  }
}

function checkCredit(bytes: number): number {
  if (bytes === 0 || bytes > MAX_CREDIT) throw malformed(`a credit of ${bytes} bytes`);
  return bytes;
}

function decodeText(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw malformed('a closing text that is not UTF-8', cause);
  }
}

function malformed(what: string, cause?: unknown): TowlineError {
  return new TowlineError('protocol_error', `The peer sent ${what}.`, { cause });
}
