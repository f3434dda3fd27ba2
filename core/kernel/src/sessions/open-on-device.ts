import { type ByteStream, type Device, TowlineError, toTowlineError } from '@towline/contract';
import { readMessage } from '@towline/link';
import {
  accountOf,
  createId,
  deviceOpen,
  encodeSecrets,
  GRANT_VALIDITY_MS,
  type GrantKey,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  openDigest,
  relayOpen,
  SECRETS_FEATURE,
  signGrant,
} from '@towline/protocol';
import type { GrantRing } from '../grants/ring.ts';
import type { DeviceLink, DeviceRegistry } from '../links/registry.ts';
import { openSecrets } from '../secrets/find-secrets.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import type { JudgedOpening } from './judge-opening.ts';

/** How long a device may take to answer an opening, milliseconds: a slow device that loads a program. */
const ANSWER_DEADLINE_MS = 30_000;

/** What opening on a device works with. */
export interface DeviceOpening {
  readonly registry: DeviceRegistry;
  readonly grants: () => GrantRing;
  readonly keys: KeyRing;
}

/** Opens the stream on the device, with the grant for exactly this message on exactly this link. @throws TowlineError `device_offline`. */
export function openOnDevice({ registry, grants, keys }: DeviceOpening, judged: JudgedOpening): ByteStream {
  const { device, secrets } = judged;
  const deviceLink = requireDeviceLink(registry, device, secrets.length > 0);
  return deviceLink.link.openStream(encodeHead(judged, { deviceLink, key: grants().current, keys }));
}

/**
 * The link on which something is opened on a device. One that does not know of secrets would run without them.
 * @throws TowlineError `device_offline`, `device_outdated`.
 */
export function requireDeviceLink(registry: DeviceRegistry, { id, name }: Device, withSecrets: boolean): DeviceLink {
  const link = registry.get(id);
  if (link === null) throw new TowlineError('device_offline', `The device ${name} is offline.`);
  if (withSecrets && !link.features.includes(SECRETS_FEATURE))
    throw new TowlineError('device_outdated', `The runtime on ${name} is of a version that takes no secrets.`);
  return link;
}

interface Signing {
  readonly deviceLink: DeviceLink;
  readonly key: GrantKey;
  readonly keys: KeyRing;
}

function encodeHead(judged: JudgedOpening, signing: Signing): Buffer {
  try {
    const text = openText(judged, signing.keys);
    return relayOpen.encode({ grant: grantFor(judged, text, signing), open: text });
  } catch (error) {
    if (judged.secrets.length === 0 || toTowlineError(error).code !== 'too_large') throw error;
    throw new TowlineError('too_large', 'The command and its secrets together are too large for one session.', {
      hint: 'Give it fewer secrets, or pass what is long on its standard input.',
      cause: error,
    });
  }
}

function openText({ open: { protocol, session }, body, secrets }: JudgedOpening, keys: KeyRing): string {
  const given = secrets.length === 0 ? {} : { secrets: encodeSecrets(openSecrets(keys, secrets)) };
  return deviceOpen.encode({ protocol, session, body, ...given }).toString('utf8');
}

function grantFor({ open, principal, device }: JudgedOpening, text: string, { deviceLink, key }: Signing): string {
  return signGrant(
    {
      key: key.id,
      device: device.id,
      protocol: open.protocol,
      nonce: deviceLink.nonce,
      opening: createId(),
      principal: principal.label.slice(0, 320),
      account: accountOf(principal.id),
      expires_ms: deviceLink.timeMs() + GRANT_VALIDITY_MS,
      open_sha256: openDigest(text),
    },
    key.privateKey,
  );
}

/** The device's answer. @throws TowlineError when the stream breaks or the device stays silent: then it is not known whether it began. */
export async function readAnswer(deviceStream: ByteStream): Promise<OpenAnswer> {
  return openAnswer.decode(await readMessage(deviceStream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(ANSWER_DEADLINE_MS)));
}
