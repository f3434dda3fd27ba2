import {
  type AuditEvent,
  type ByteStream,
  type Clock,
  type Device,
  type Log,
  type OpenSession,
  type Principal,
  type Store,
  type StreamHandler,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { readMessage } from '@towline/link';
import {
  type ClientOpen,
  clientOpen,
  createId,
  deviceOpen,
  frameMessage,
  GRANT_VALIDITY_MS,
  type JsonObject,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  openDigest,
  refusalError,
  refuse,
  relayOpen,
  type SessionId,
  signGrant,
} from '@towline/protocol';
import { actorOf } from '../access/actor.ts';
import { findDevice } from '../access/find-device.ts';
import { callerOf, requireRole, requireStream } from '../access/roles.ts';
import type { GrantRing } from '../grants/ring.ts';
import type { DeviceLink, DeviceRegistry } from '../links/registry.ts';
import { checkBody } from './check-body.ts';
import { joinStreams } from './join.ts';
import { JOURNAL_GRACE_MS, type SessionLedger } from './ledger.ts';

/** How long a device may take to answer an opening, milliseconds: a slow device that loads a program. */
const ANSWER_DEADLINE_MS = 30_000;

/** What the gateway works with. */
export interface GatewayParts {
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly ledger: SessionLedger;
  readonly audit: (event: AuditEvent) => Promise<void>;
  /** Started stream plugins by protocol. */
  readonly handlers: ReadonlyMap<string, { readonly name: string; readonly handler: StreamHandler }>;
  readonly grants: () => GrantRing;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who opens a stream, and from where. */
export interface Opener {
  readonly principal: Principal;
  readonly address: string;
}

/** An opening that may be put to the device. */
interface JudgedOpening {
  readonly open: ClientOpen;
  readonly device: Device;
  readonly body: JsonObject;
  readonly session: OpenSession;
}

/**
 * Serves one stream that a client opened: judges it, records it, has the device open it, and joins the two.
 * Never rejects; what goes wrong before the join is told to the client as a refusal.
 */
export async function serveOpening(parts: GatewayParts, stream: ByteStream, opener: Opener): Promise<void> {
  try {
    const judged = await judge(parts, stream, opener);
    await parts.ledger.open(judged.session);
    await carryOut(parts, stream, judged, opener);
  } catch (thrown) {
    const error = toTowlineError(thrown);
    if (error.code === 'internal') parts.log.error('an opening failed', { error: error.cause ?? error, detail: error.detail });
    answer(stream, refuse(error));
    stream.end();
    stream.resume();
  }
}

/** @throws TowlineError after recording the refusal. */
async function judge(parts: GatewayParts, stream: ByteStream, opener: Opener): Promise<JudgedOpening> {
  const open = clientOpen.decode(stream.head);
  let device: Device | null = null;
  try {
    const found = parts.handlers.get(open.protocol);
    if (found === undefined) throw new TowlineError('stream_not_offered');
    requireStream(opener.principal, found.name);
    device = await findDevice(parts.store.devices, open.device, callerOf(opener.principal));
    requireRole(opener.principal, device.owner, found.handler.right);
    if (open.resume !== undefined) throw new TowlineError('not_found', 'The session is not known any more.');
    const prepared = found.handler.prepare(await checkBody(found.handler.body, open.body), { principal: opener.principal, device });
    if (parts.registry.get(device.id) === null) throw new TowlineError('device_offline', `The device ${device.name} is offline.`);
    return { open, device, body: prepared.body, session: sessionOf(parts, open, { device, opener, detail: prepared.audit }) };
  } catch (error) {
    await recordRefusal(parts, { open, device, opener, error: toTowlineError(error) });
    throw error;
  }
}

function sessionOf(
  parts: GatewayParts,
  open: ClientOpen,
  { device, opener, detail }: { device: Device; opener: Opener; detail: JsonObject },
): OpenSession {
  return {
    id: open.session as SessionId,
    deviceId: device.id,
    deviceName: device.name,
    owner: device.owner,
    protocol: open.protocol,
    actor: actorOf(opener.principal),
    address: opener.address,
    openedAt: parts.clock.now(),
    detail,
  };
}

async function carryOut(parts: GatewayParts, stream: ByteStream, judged: JudgedOpening, opener: Opener): Promise<void> {
  const { session, device } = judged;
  let deviceStream: ByteStream;
  try {
    const deviceLink = parts.registry.get(device.id);
    if (deviceLink === null) throw new TowlineError('device_offline', `The device ${device.name} is offline.`);
    deviceStream = openTowardsDevice(parts, deviceLink, judged, opener);
    const accepted = await awaitAnswer(deviceStream);
    answer(stream, { ...accepted, device: { id: device.id, name: device.name, fingerprint: device.fingerprint } });
  } catch (thrown) {
    const error = toTowlineError(thrown);
    await parts.ledger.close(session.id, { outcome: 'refused', reason: error.code, reportedBy: 'relay' });
    throw error;
  }
  const end = await joinStreams(stream, deviceStream);
  settle(parts, judged, end.error);
}

function openTowardsDevice(parts: GatewayParts, deviceLink: DeviceLink, { open, device, body }: JudgedOpening, opener: Opener): ByteStream {
  const text = deviceOpen.encode({ protocol: open.protocol, session: open.session, body }).toString('utf8');
  const { current } = parts.grants();
  const grant = signGrant(
    {
      key: current.id,
      device: device.id,
      protocol: open.protocol,
      nonce: deviceLink.nonce,
      opening: createId(),
      principal: opener.principal.label.slice(0, 320),
      expires_ms: parts.clock.now() + GRANT_VALIDITY_MS,
      open_sha256: openDigest(text),
    },
    current.privateKey,
  );
  return deviceLink.link.openStream(relayOpen.encode({ grant, open: text }));
}

async function awaitAnswer(deviceStream: ByteStream): Promise<Extract<OpenAnswer, { status: 'accepted' }>> {
  try {
    const reply = openAnswer.decode(await readMessage(deviceStream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(ANSWER_DEADLINE_MS)));
    if (reply.status === 'refused') throw refusalError(reply);
    return reply;
  } catch (thrown) {
    const error = toTowlineError(thrown);
    deviceStream.destroy(error);
    throw error;
  }
}

/** The device's word on the end comes by its journal. Where it stays out although the device is there, the relay's own is written. */
function settle(parts: GatewayParts, { session }: JudgedOpening, error: TowlineError | null): void {
  const timer = setTimeout(() => {
    if (parts.registry.get(session.deviceId) === null) return;
    const reason = error?.code ?? 'unreported';
    parts.ledger
      .close(session.id, { outcome: 'interrupted', reason, reportedBy: 'relay' })
      .catch((cause: unknown) => parts.log.error('the end of a session could not be recorded', { session: session.id, error: cause }));
  }, JOURNAL_GRACE_MS);
  timer.unref();
}

function answer(stream: ByteStream, reply: OpenAnswer): void {
  if (stream.writable) stream.write(frameMessage(openAnswer.encode(reply)));
}

async function recordRefusal(
  parts: GatewayParts,
  { open, device, opener, error }: { open: ClientOpen; device: Device | null; opener: Opener; error: TowlineError },
): Promise<void> {
  await parts.audit({
    at: parts.clock.now(),
    action: 'session.refused',
    actor: actorOf(opener.principal),
    address: opener.address,
    ...(device === null ? {} : { device: { id: device.id, name: device.name }, owner: device.owner }),
    session: open.session as SessionId,
    protocol: open.protocol,
    outcome: 'refused',
    reason: error.code,
    detail: { asked_for: open.device },
  });
}
