import type { Role } from '@towline/contract';

/**
 * Where the role for an action must be held: `device`: on the device, by its owner's scope or by a share; `owner`: on the
 * scope that owns the thing, shares do not count; `platform`: by platform admins alone.
 */
export type RightPlace = 'device' | 'owner' | 'platform';

/** What an action needs. Platform admins may do everything. */
export interface Right {
  readonly place: RightPlace;
  /** Least role; of no meaning for `platform`. */
  readonly role: Role;
  /** In words, for the reference. */
  readonly text: string;
}

/** Every right there is. Nothing is allowed that is not here; opening a stream needs the role that its plugin names. */
export const RIGHTS = {
  'device.see': { place: 'device', role: 'viewer', text: 'list and show a device and its open sessions' },
  'device.rename': { place: 'device', role: 'admin', text: 'rename a device' },
  'device.share': { place: 'device', role: 'admin', text: 'see, give and take back access to a device, within one’s own' },
  'device.rotate': { place: 'owner', role: 'admin', text: 'renew the key of a device' },
  'device.transfer': { place: 'owner', role: 'admin', text: 'give a device to another scope; the role is needed there too' },
  'device.remove': { place: 'owner', role: 'admin', text: 'remove a device' },
  'session.end': { place: 'device', role: 'admin', text: 'end a session of somebody else, and see what it runs' },
  'registration.see': { place: 'owner', role: 'viewer', text: 'list requests to enrol' },
  'registration.decide': { place: 'owner', role: 'admin', text: 'approve and reject requests to enrol' },
  'audit.read': { place: 'owner', role: 'admin', text: 'read the audit trail' },
  'key.see': { place: 'owner', role: 'admin', text: 'list keys of others' },
  'key.revoke': { place: 'owner', role: 'admin', text: 'revoke keys of others' },
  'key.enrol': { place: 'owner', role: 'admin', text: 'create keys that enrol devices' },
  'secret.see': { place: 'owner', role: 'viewer', text: 'list the names of secrets, never their values' },
  'secret.use': { place: 'owner', role: 'operator', text: 'give a secret to a session; on the scope that owns the secret, not the device' },
  'secret.set': { place: 'owner', role: 'admin', text: 'set, replace and remove secrets' },
  'org.see': { place: 'owner', role: 'viewer', text: 'see an organisation and its members' },
  'org.members': { place: 'owner', role: 'admin', text: 'add members, change their roles, remove them' },
  'org.delete': { place: 'owner', role: 'admin', text: 'delete an organisation' },
  'org.create': { place: 'platform', role: 'admin', text: 'create an organisation' },
  'user.manage': { place: 'platform', role: 'admin', text: 'list, disable and enable users' },
} as const satisfies Record<string, Right>;

/** Name of a right. */
export type RightName = keyof typeof RIGHTS;
