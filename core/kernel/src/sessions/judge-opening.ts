import {
  type AuditEvent,
  type ByteStream,
  type Clock,
  type Device,
  type OpenSession,
  type Principal,
  type Secret,
  type Store,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { type ClientOpen, clientOpen, encodeSecrets, type JsonObject, type SessionId } from '@towline/protocol';
import { actorOf } from '../access/actor.ts';
import { requireStream } from '../access/roles.ts';
import { type SettleParts, settle } from '../access/settle.ts';
import type { LinkCredential } from '../links/link-credential.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { maskApiKeys } from '../redaction.ts';
import { findSecrets, openSecrets, refusedSecret, type SecretRequest, secretLabel } from '../secrets/find-secrets.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { findVisibleDevice } from '../sharing/find-visible.ts';
import { checkBody } from './check-body.ts';
import type { StreamHandlers } from './judge-again.ts';
import { requireDeviceLink } from './open-on-device.ts';
import type { OpeningGuard } from './opening-guard.ts';

/** What judging works with. */
export interface JudgeParts {
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly settling: SettleParts;
  readonly handlers: StreamHandlers;
  readonly guard: OpeningGuard;
  /** Opens the secrets that sessions ask for. */
  readonly keys: KeyRing;
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
  /** Secrets that it is given, encrypted until the turn in which they are sent. */
  readonly secrets: readonly Secret[];
  readonly session: OpenSession;
}

/** Judges one opening by itself, whatever was allowed before on the same link. @throws TowlineError, after recording the refusal. */
export async function judgeOpening(parts: JudgeParts, stream: ByteStream, opener: Opener): Promise<JudgedOpening> {
  const open = clientOpen.decode(stream.head);
  const seen: Judging['seen'] = { device: null };
  try {
    return await judge(parts, { open, opener, seen });
  } catch (thrown) {
    const error = toTowlineError(thrown);
    const admitted = parts.guard.admitRefusal(opener.credential.claimed.id);
    if (admitted !== null) await recordRefusal(parts, { open, seen, opener, error, ...admitted });
    throw error;
  }
}

interface Judging {
  readonly open: ClientOpen;
  readonly opener: Opener;
  /** The device, and what is wanted of it, as soon as they are known: the record of a refusal names them. */
  readonly seen: { device: Device | null; wanted?: JsonObject };
}

async function judge(parts: JudgeParts, { open, opener, seen }: Judging): Promise<JudgedOpening> {
  const { store, handlers, settling, clock } = parts;
  const principal = await settle(settling, opener.credential.claimed);
  const found = handlers.get(open.protocol);
  if (found === undefined) throw new TowlineError('stream_not_offered');
  // A device that a key or an ended share hides is answered as one that does not exist.
  const device = await findVisibleDevice({ store, principal, now: clock.now() }, open.device, 'device.see');
  seen.device = device;
  requireStream(principal, device, { stream: found.name, role: found.handler.right, now: clock.now() });
  if (open.resume !== undefined) throw new TowlineError('not_found', 'The session is not known any more.');
  const body = await checkBody(found.handler.body, open.body);
  if (found.handler.describe !== undefined) seen.wanted = found.handler.describe(body);
  const prepared = found.handler.prepare(body, { principal, device });
  const words = prepared.secrets ?? [];
  parts.guard.admitSecrets(opener.credential.claimed.id, words.length);
  const secrets = await secretsFor(parts, { principal, device, words, seen });
  const detail = { ...prepared.audit, ...(secrets.length === 0 ? {} : { secrets: secrets.map(secretLabel) }) };
  const session: OpenSession = {
    id: open.session as SessionId,
    deviceId: device.id,
    deviceName: device.name,
    owner: device.owner,
    protocol: open.protocol,
    actor: actorOf(principal),
    address: opener.address,
    openedAt: clock.now(),
    detail: masked(detail),
  };
  return { open, principal, device, body: prepared.body, secrets, session };
}

/** That they can be given is seen before the session is in the books; what was opened for that is not kept. */
async function secretsFor(
  { store, registry, keys }: JudgeParts,
  { seen, ...request }: SecretRequest & Pick<JudgedOpening, 'device'> & Pick<Judging, 'seen'>,
): Promise<readonly Secret[]> {
  requireDeviceLink(registry, request.device, request.words.length > 0);
  const found = await findSecrets(store, request);
  if ('refused' in found) {
    seen.wanted = { ...seen.wanted, secret: found.refused };
    throw refusedSecret(found.refused);
  }
  const { secrets } = found;
  encodeSecrets(openSecrets(keys, secrets));
  return secrets;
}

/** A key that somebody pasted into a command must not stay in the books. */
function masked(detail: JsonObject): JsonObject {
  return JSON.parse(maskApiKeys(JSON.stringify(detail))) as JsonObject;
}

async function recordRefusal(
  { audit, clock }: JudgeParts,
  { open, seen: { device, wanted = {} }, opener, error, omitted }: Judging & { readonly error: TowlineError; readonly omitted: number },
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
    detail: { ...masked(wanted), asked_for: open.device, ...(omitted === 0 ? {} : { omitted_before: omitted }) },
  });
}
