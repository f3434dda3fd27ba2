import {
  type AuditEvent,
  type ByteStream,
  type Clock,
  type Device,
  type OpenSession,
  type Principal,
  type Store,
  type StreamHandler,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { type ClientOpen, clientOpen, type JsonObject, type SessionId } from '@towline/protocol';
import { actorOf } from '../access/actor.ts';
import { findDevice } from '../access/find-device.ts';
import { callerOf, requireRole, requireStream } from '../access/roles.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { maskApiKeys } from '../redaction.ts';
import { checkBody } from './check-body.ts';
import type { OpeningGuard } from './opening-guard.ts';

/** What judging works with. */
export interface JudgeParts {
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly audit: (event: AuditEvent) => Promise<void>;
  /** Started stream plugins by protocol. */
  readonly handlers: ReadonlyMap<string, { readonly name: string; readonly handler: StreamHandler }>;
  readonly guard: OpeningGuard;
  readonly clock: Clock;
}

/** Who opens a stream, and from where. */
export interface Opener {
  readonly principal: Principal;
  readonly address: string;
}

/** An opening that may be put to the device. */
export interface JudgedOpening {
  readonly open: ClientOpen;
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
    const admitted = parts.guard.admitRefusal(opener.principal.id);
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

async function judge({ store, registry, handlers, clock }: JudgeParts, { open, opener, seen }: Judging): Promise<JudgedOpening> {
  const { principal } = opener;
  if (principal.expiresAt !== undefined && principal.expiresAt <= clock.now()) throw new TowlineError('key_expired');
  const found = handlers.get(open.protocol);
  if (found === undefined) throw new TowlineError('stream_not_offered');
  requireStream(principal, found.name);
  const device = await findDevice(store.devices, open.device, callerOf(principal));
  seen.device = device;
  requireRole(principal, device.owner, found.handler.right);
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
  return { open, device, body: prepared.body, session };
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
    actor: actorOf(opener.principal),
    address: opener.address,
    ...(device === null ? {} : { device: { id: device.id, name: device.name }, owner: device.owner }),
    session: open.session as SessionId,
    protocol: open.protocol,
    outcome: 'refused',
    reason: error.code,
    detail: { asked_for: open.device, ...(omitted === 0 ? {} : { omitted_before: omitted }) },
  });
}
