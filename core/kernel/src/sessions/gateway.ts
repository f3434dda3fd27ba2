import { type ByteStream, type Log, TowlineError, toTowlineError } from '@towline/contract';
import { joinStreams } from '@towline/link';
import { frameMessage, type OpenAnswer, openAnswer, refusalError, refuse } from '@towline/protocol';
import type { GrantRing } from '../grants/ring.ts';
import type { DeviceLink } from '../links/registry.ts';
import { type CarriedSession, endCarried } from './carried.ts';
import { type JudgedOpening, type JudgeParts, judgeOpening, type Opener } from './judge-opening.ts';
import { JOURNAL_GRACE_MS, type SessionLedger } from './ledger.ts';
import { type SessionLimits, watchLimits } from './limits.ts';
import type { LiveAccess } from './live-access.ts';
import { openOnDevice, readAnswer } from './open-on-device.ts';

/** Reasons after which a device does not come back to report. */
const NO_ACCESS: ReadonlySet<string> = new Set(['device_removed', 'key_revoked']);

/** What only the operator of the relay can mend. */
const UNREADABLE_SECRET: ReadonlySet<string> = new Set(['secret_key_missing', 'secret_key_wrong', 'secret_damaged']);

/** What the gateway works with. */
export interface GatewayParts extends JudgeParts {
  readonly ledger: SessionLedger;
  /** How to break the streams of each session that this relay carries, by its id: from their opening on, until both are over. */
  readonly joined: Map<string, (error: TowlineError) => void>;
  readonly access: LiveAccess;
  readonly limits: SessionLimits;
  readonly grants: () => GrantRing;
  readonly log: Log;
}

/**
 * Serves one stream that a client opened: judges it, records it, has the device open it, and joins the two.
 * Never rejects; what goes wrong before the join is told to the client as a refusal.
 */
export async function serveOpening(parts: GatewayParts, stream: ByteStream, opener: Opener): Promise<void> {
  try {
    const { round } = parts.access;
    const judged = await parts.guard.judge(opener.credential.claimed.id, async () => {
      const allowed = await judgeOpening(parts, stream, opener);
      requireClient(stream);
      await parts.ledger.open(allowed.session);
      return allowed;
    });
    await carryOut(parts, stream, { judged, opener, round });
  } catch (thrown) {
    const error = toTowlineError(thrown);
    // What a device refused with is its own affair, and not a fault of this relay.
    if (error.code === 'internal' && error.cause !== undefined)
      parts.log.error('an opening failed', { error: error.cause ?? error, detail: error.detail });
    if (UNREADABLE_SECRET.has(error.code))
      parts.log.error('a secret could not be given to a session', { code: error.code, reason: error.message });
    answer(stream, refuse(error));
    stream.end();
    stream.resume();
  }
}

async function carryOut(
  parts: GatewayParts,
  stream: ByteStream,
  { judged, opener, round }: { judged: JudgedOpening; opener: Opener; round: number },
): Promise<void> {
  // In the turn in which the stream is opened on it.
  const link = parts.registry.get(judged.device.id);
  const deviceStream = await begin(parts, stream, judged);
  const { session, principal } = judged;
  const carried: CarriedSession = { session, opener, principal, destroy: (error) => void deviceStream.destroy(error) };
  parts.joined.set(session.id, carried.destroy);
  const forget = parts.access.watch(carried, round);
  try {
    await passAnswer(parts, { stream, deviceStream }, judged);
    const stop = watchLimits([stream, deviceStream], parts.limits, (error) => endCarried(parts.registry, carried, error));
    const end = await joinStreams(stream, deviceStream, { explain: deviceSide }).finally(stop);
    settle(parts, { judged, link }, end.error);
  } catch (thrown) {
    const error = stream.destroyed ? toTowlineError(thrown) : deviceSide(toTowlineError(thrown));
    deviceStream.destroy(error);
    // Unless the device refused, it may have begun, and reports how that ended; where it does not, the relay writes what it knows.
    settle(parts, { judged, link }, error);
    throw error;
  } finally {
    parts.joined.delete(session.id);
    forget();
  }
}

/** Opens the stream on the device; it ends, for the same reason, when that of the client does. */
async function begin(parts: GatewayParts, stream: ByteStream, judged: JudgedOpening): Promise<ByteStream> {
  try {
    requireClient(stream);
    const deviceStream = openOnDevice(parts, judged);
    const leave = () => deviceStream.destroy(stream.errored ? toTowlineError(stream.errored) : new TowlineError('cancelled'));
    stream.once('close', leave);
    deviceStream.once('close', () => stream.off('close', leave));
    return deviceStream;
  } catch (thrown) {
    throw await closeRefused(parts, judged, toTowlineError(thrown));
  }
}

async function passAnswer(
  parts: GatewayParts,
  streams: { stream: ByteStream; deviceStream: ByteStream },
  judged: JudgedOpening,
): Promise<void> {
  const reply = await readAnswer(streams.deviceStream);
  if (reply.status === 'refused') throw await closeRefused(parts, judged, refusalError(reply));
  requireClient(streams.stream);
  const { id, name, fingerprint } = judged.device;
  answer(streams.stream, { ...reply, device: { id, name, fingerprint } });
}

async function closeRefused({ ledger }: GatewayParts, { session }: JudgedOpening, error: TowlineError): Promise<TowlineError> {
  await ledger.close(session.id, { outcome: 'refused', reason: error.code, reportedBy: 'relay' });
  return error;
}

/**
 * The device's word on the end comes by its journal. Where it stays out although the device is still on the same link or one
 * that took over from it, or because the device lost its access, the relay's own is written. After a link that was lost the device
 * reports, or the session is lost.
 */
function settle(
  parts: GatewayParts,
  { judged: { session }, link }: { readonly judged: JudgedOpening; readonly link: DeviceLink | null },
  error: TowlineError | null,
): void {
  const reason = error?.code ?? 'unreported';
  const timer = setTimeout(
    () => {
      const present = parts.registry.get(session.deviceId);
      if (present?.line !== link?.line && !(present === null && NO_ACCESS.has(reason))) return;
      parts.ledger
        .close(session.id, { outcome: 'interrupted', reason, reportedBy: 'relay' })
        .catch((cause: unknown) => parts.log.error('the end of a session could not be recorded', { session: session.id, error: cause }));
    },
    reason === 'device_removed' ? 0 : JOURNAL_GRACE_MS,
  );
  timer.unref();
}

/** A user whose session breaks must not look for the fault in their own line. */
function deviceSide(error: TowlineError): TowlineError {
  return error.code === 'link_lost' || error.code === 'link_silent' ? new TowlineError('device_lost', undefined, { cause: error }) : error;
}

/** Nothing is begun for a client that has left, or whose access was taken away with its link. */
function requireClient(stream: ByteStream): void {
  if (stream.destroyed) throw new TowlineError('cancelled');
}

function answer(stream: ByteStream, reply: OpenAnswer): void {
  if (stream.writable) stream.write(frameMessage(openAnswer.encode(reply)));
}
