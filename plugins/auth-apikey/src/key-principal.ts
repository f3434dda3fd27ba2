import type { ApiKey, Principal } from '@towline/contract';

/** Name of the plugin, which its principals carry. */
export const PROVIDER = 'apikey';

/** Who acts by a key; null for a device key without a device, which nobody can act by. */
export function principalOf(key: ApiKey): Principal | null {
  if (key.kind === 'device') return devicePrincipal(key);
  return key.kind === 'user' ? userPrincipal(key) : enrolmentPrincipal(key);
}

/** What every principal takes over from its key. */
function commonParts(key: ApiKey) {
  return {
    provider: PROVIDER,
    keyId: key.id,
    ...(key.streams === undefined ? {} : { streams: key.streams }),
    ...(key.expiresAt === undefined ? {} : { expiresAt: key.expiresAt }),
  };
}

function userPrincipal(key: ApiKey): Principal {
  return {
    ...commonParts(key),
    kind: 'user',
    // A key that acts as no known user is a user of its own.
    id: key.userId ?? `local|${key.email ?? `key-${key.id}`}`,
    label: key.email ?? key.name,
    ...(key.email === undefined ? {} : { email: key.email }),
    scopes: key.scopes,
    ...(key.devices === undefined ? {} : { devices: key.devices }),
    ...(key.bounded === true ? { bounded: true } : {}),
    admin: key.admin,
  };
}

function devicePrincipal(key: ApiKey): Principal | null {
  if (key.deviceId === undefined) return null;
  const { deviceId } = key;
  return { ...commonParts(key), kind: 'device', id: `device:${deviceId}`, label: key.name, deviceId, scopes: key.scopes, admin: false };
}

/** An enrolment key may only say for whom it enrols; the role is the least there is. */
function enrolmentPrincipal(key: ApiKey): Principal {
  const scopes = [{ scope: key.owner, role: 'viewer' as const }];
  return { ...commonParts(key), kind: 'enrolment', id: `enrolment:${key.id}`, label: key.name, scopes, admin: false };
}
