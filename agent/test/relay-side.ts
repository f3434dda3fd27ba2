import { randomBytes } from 'node:crypto';
import type { ByteStream, Link } from '@towline/contract';
import { type ControlChannel, createControlChannel, readMessage } from '@towline/link';
import {
  type ClientSession,
  CONTROL_PROTOCOL,
  createClientSession,
  createId,
  type DeviceToRelay,
  deriveGrantKey,
  deviceOpen,
  deviceToRelay,
  encodeJson,
  type Grant,
  type GrantKey,
  type GrantKeyRecord,
  type JournalEntry,
  type JsonObject,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  openDigest,
  publishGrantKeys,
  type RelayToDevice,
  relayOpen,
  relayToDevice,
  type SessionId,
  signGrant,
} from '@towline/protocol';

/** How the relay's side of a link behaves. */
export interface RelaySideOptions {
  readonly relay: string;
  /** The key that signs grants, and the ring that is shown to the device. */
  readonly grantKey: GrantKey;
  readonly grantKeys: readonly GrantKeyRecord[];
  /** Whether journals are acknowledged at once. */
  readonly acknowledge: boolean;
  readonly journalReceived: number;
  /** Nonce that the challenge shows; grants name it. */
  readonly nonce: string;
  /** Added to the welcome. */
  readonly welcome: Partial<Extract<RelayToDevice, { type: 'welcome' }>>;
}

/** The ring key of a test relay that is not told otherwise. */
export const testGrantKey = deriveGrantKey('the forward secret of the test relay');

/** A stream as the device answered its opening. */
export interface Opened {
  readonly stream: ByteStream;
  readonly answer: OpenAnswer;
}

type Proof = Extract<DeviceToRelay, { type: 'proof' }>;

/** The relay's side of one device link, with every message under the test's hand. */
export class RelaySide {
  readonly link: Link;
  readonly journal: JournalEntry[] = [];
  readonly messages: DeviceToRelay[] = [];
  readonly nonce: string;
  control!: ControlChannel<RelayToDevice, DeviceToRelay>;
  proof!: Proof;
  readonly #options: RelaySideOptions;
  #waiting: (() => void)[] = [];

  constructor(link: Link, options: Partial<RelaySideOptions> & { readonly relay: string }) {
    const nonce = randomBytes(24).toString('base64url');
    const grantKey = options.grantKey ?? testGrantKey;
    this.#options = {
      grantKey,
      grantKeys: publishGrantKeys([grantKey]),
      acknowledge: true,
      journalReceived: 0,
      nonce,
      welcome: {},
      ...options,
    };
    this.nonce = this.#options.nonce;
    this.link = link;
  }

  /** Challenge, proof, welcome. */
  async logIn(): Promise<void> {
    const proof = await this.challenge();
    this.control.send({
      type: 'welcome',
      level: 1,
      device: proof.device,
      name: 'greenhouse',
      time_ms: Date.now(),
      grant_keys: [...this.#options.grantKeys],
      journal_received: this.#options.journalReceived,
      ...this.#options.welcome,
    });
    this.control.onMessage((message) => this.#take(message));
  }

  async challenge(): Promise<Proof> {
    const stream = this.link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
    this.control = createControlChannel<RelayToDevice, DeviceToRelay>(stream, { encode: relayToDevice, decode: deviceToRelay });
    this.control.send({ type: 'challenge', level: 1, relay: this.#options.relay, nonce: this.nonce });
    const proof = await this.control.next(AbortSignal.timeout(10_000));
    if (proof.type !== 'proof') throw new Error(`the device sent ${proof.type}`);
    this.proof = proof;
    return proof;
  }

  /** A grant for an open message; every part of it can be changed. */
  grant(open: string, changes: Partial<Grant> = {}, key: GrantKey = this.#options.grantKey): string {
    const grant: Grant = {
      key: key.id,
      device: this.proof.device,
      protocol: '/exec/1',
      nonce: this.nonce,
      opening: createId<SessionId>(),
      principal: 'ada@example.com',
      expires_ms: Date.now() + 60_000,
      open_sha256: openDigest(open),
      ...changes,
    };
    return signGrant(grant, key.privateKey);
  }

  /** Opens a stream with exactly this head and reads the answer. */
  async openRaw(head: Uint8Array): Promise<Opened> {
    const stream = this.link.openStream(head);
    stream.on('error', () => undefined);
    const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(15_000)));
    return { stream, answer };
  }

  /** Opens a stream with a good grant. */
  open(
    body: JsonObject,
    changes: { readonly protocol?: string; readonly session?: SessionId; readonly resume?: { received: number } } = {},
  ) {
    const message = { protocol: '/exec/1', session: createId<SessionId>(), body, ...changes };
    const open = deviceOpen.encode(message).toString('utf8');
    return this.openRaw(relayOpen.encode({ grant: this.grant(open, { protocol: message.protocol }), open }));
  }

  /** Opens a session that the device must accept. */
  async openSession(body: JsonObject, protocol = '/exec/1'): Promise<{ readonly session: ClientSession; readonly stream: ByteStream }> {
    const id = createId<SessionId>();
    const { stream, answer } = await this.open(body, { session: id, protocol });
    if (answer.status !== 'accepted') throw new Error(`refused: ${answer.code} ${answer.message}`);
    return { session: createClientSession(stream, id), stream };
  }

  /** The code of the refusal, or `accepted`. */
  async codeOf(opening: Promise<Opened>): Promise<string> {
    const { answer, stream } = await opening;
    if (answer.status === 'accepted') stream.destroy();
    return answer.status === 'accepted' ? 'accepted' : answer.code;
  }

  /** The entry that says how a session ended. */
  async endOf(session: string): Promise<Extract<JournalEntry, { type: 'end' }>> {
    const find = () => this.journal.find((entry) => entry.type === 'end' && entry.session === session);
    await this.until(() => find() !== undefined);
    return find() as Extract<JournalEntry, { type: 'end' }>;
  }

  /** Resolves once the condition holds; looked at after each message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #take(message: DeviceToRelay): void {
    this.messages.push(message);
    if (message.type === 'journal') {
      this.journal.push(...message.entries);
      if (this.#options.acknowledge) this.control.send({ type: 'journal_ack', received: message.entries.at(-1)!.number });
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
