import {
  type AuditEvent,
  type ByteStream,
  type Clock,
  type Device,
  type OpenSession,
  type Principal,
  type Store,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { type ClientOpen, clientOpen, type JsonObject, type SessionId } from '@towline/protocol';
import { actorOf } from '../access/actor.ts';
import { requireStream } from '../access/roles.ts';
import { type SettleParts, settle } from '../access/settle.ts';
import type { LinkCredential } from '../links/link-credential.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { maskApiKeys } from '../redaction.ts';
import { findVisibleDevice } from '../sharing/find-visible.ts';
import { checkBody } from './check-body.ts';
import type { StreamHandlers } from './judge-again.ts';
import type { OpeningGuard } from './opening-guard.ts';

/** What judging works with. */
export interface JudgeParts {
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly settling: SettleParts;
  readonly handlers: StreamHandlers;
  readonly guard: OpeningGuard;
  readonly clock: Clock;
}

/** By whose credential a stream is opened, and from where. */
export interface Opener {
  readonly credential: LinkCredential;
  readonly address: string;
}

/** An opening that may be put to the device. */
export interface JudgedOpening {
  readonly open: ClientOpen;
  /** What the credential counted for. */
  readonly principal: Principal;
  readonly device: Device;
  /** What the device is asked. */
  readonly body: JsonObject;
  readonly session: OpenSession;
}

/** Judges one opening by itself, whatever was allowed before on the same link. @throws TowlineError, after recording the refusal. */
export async function judgeOpening(parts: JudgeParts, stream: ByteStream, opener: Opener): Promise<JudgedOpening> {
  const open = clientOpen.decode(stream.head);
  const seen: { device: Device | null } = { device: null };
  try {
    return await judge(parts, { open, opener, seen });
  } catch (thrown) {
    const error = toTowlineError(thrown);
    const admitted = parts.guard.admitRefusal(opener.credential.claimed.id);
    if (admitted !== null) await recordRefusal(parts, { open, device: seen.device, opener, error, ...admitted });
    throw error;
  }
}

interface Judging {
  readonly open: ClientOpen;
  readonly opener: Opener;
  /** The device, as soon as it is known: the record of a refusal names it. */
  readonly seen: { device: Device | null };
}

async function judge({ store, registry, handlers, settling, clock }: JudgeParts, { open, opener, seen }: Judging): Promise<JudgedOpening> {
  const principal = await settle(settling, opener.credential.claimed);
  const found = handlers.get(open.protocol);
  if (found === undefined) throw new TowlineError('stream_not_offered');
  // A device that a key or an ended share hides is answered as one that does not exist.
  const device = await findVisibleDevice({ store, principal, now: clock.now() }, open.device, 'device.see');
  seen.device = device;
  requireStream(principal, device, { stream: found.name, role: found.handler.right, now: clock.now() });
  if (open.resume !== undefined) throw new TowlineError('not_found', 'The session is not known any more.');
  const prepared = found.handler.prepare(await checkBody(found.handler.body, open.body), { principal, device });
  if (registry.get(device.id) === null) throw new TowlineError('device_offline', `The device ${device.name} is offline.`);
  const session: OpenSession = {
    id: open.session as SessionId,
    deviceId: device.id,
    deviceName: device.name,
    owner: device.owner,
    protocol: open.protocol,
    actor: actorOf(principal),
    address: opener.address,
    openedAt: clock.now(),
    // A key that somebody pasted into a command must not stay in the books.
    detail: JSON.parse(maskApiKeys(JSON.stringify(prepared.audit))) as JsonObject,
  };
  return { open, principal, device, body: prepared.body, session };
}

async function recordRefusal(
  { audit, clock }: JudgeParts,
  {
    open,
    device,
    opener,
    error,
    omitted,
  }: { open: ClientOpen; device: Device | null; opener: Opener; error: TowlineError; omitted: number },
): Promise<void> {
  await audit({
    at: clock.now(),
    action: 'session.refused',
    actor: actorOf(opener.credential.claimed),
    address: opener.address,
    ...(device === null ? {} : { device: { id: device.id, name: device.name }, owner: device.owner }),
    session: open.session as SessionId,
    protocol: open.protocol,
    outcome: 'refused',
    reason: error.code,
    detail: { asked_for: open.device, ...(omitted === 0 ? {} : { omitted_before: omitted }) },
  });
}
