import { type ByteStream, TowlineError } from '@towline/contract';
import { readMessage } from '@towline/link';
import {
  createId,
  deviceOpen,
  GRANT_VALIDITY_MS,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  openDigest,
  relayOpen,
  signGrant,
} from '@towline/protocol';
import type { GrantRing } from '../grants/ring.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import type { JudgedOpening } from './judge-opening.ts';

/** How long a device may take to answer an opening, milliseconds: a slow device that loads a program. */
const ANSWER_DEADLINE_MS = 30_000;

/** Opens the stream on the device, with the grant for exactly this message on exactly this link. @throws TowlineError `device_offline`. */
export function openOnDevice(
  { registry, grants }: { readonly registry: DeviceRegistry; readonly grants: () => GrantRing },
  { open, principal, device, body }: JudgedOpening,
): ByteStream {
  const deviceLink = registry.get(device.id);
  if (deviceLink === null) throw new TowlineError('device_offline', `The device ${device.name} is offline.`);
  const text = deviceOpen.encode({ protocol: open.protocol, session: open.session, body }).toString('utf8');
  const { current } = grants();
  const grant = signGrant(
    {
      key: current.id,
      device: device.id,
      protocol: open.protocol,
      nonce: deviceLink.nonce,
      opening: createId(),
      principal: principal.label.slice(0, 320),
      expires_ms: deviceLink.timeMs() + GRANT_VALIDITY_MS,
      open_sha256: openDigest(text),
    },
    current.privateKey,
  );
  return deviceLink.link.openStream(relayOpen.encode({ grant, open: text }));
}

/** The device's answer. @throws TowlineError when the stream breaks or the device stays silent: then it is not known whether it began. */
export async function readAnswer(deviceStream: ByteStream): Promise<OpenAnswer> {
  return openAnswer.decode(await readMessage(deviceStream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(ANSWER_DEADLINE_MS)));
}
