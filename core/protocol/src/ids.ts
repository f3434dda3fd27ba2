import { randomBytes } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Text extends string> = string & { readonly [brand]: Text };

/** Id of a device: 32 lower-case hex digits (128 bits), made by the device and owned by its key pair. */
export type DeviceId = Branded<'DeviceId'>;
/** Id of a request to enrol, made by the relay: 32 hex digits. Not a secret. */
export type RegistrationId = Branded<'RegistrationId'>;
/** Id of a session, made by the client: 32 hex digits. */
export type SessionId = Branded<'SessionId'>;
/** Public part of an API key: 16 hex digits. */
export type KeyId = Branded<'KeyId'>;
/** Id of an organisation: a DNS label. Given once; never to another organisation, also after its end. */
export type OrgId = Branded<'OrgId'>;
/** `user:<email>` or `org:<id>`. */
export type Scope = Branded<'Scope'>;

const HEX_128 = /^[0-9a-f]{32}$/;

/** A new random 128-bit id as 32 hex digits. */
export function createId<Id extends DeviceId | RegistrationId | SessionId>(): Id {
  return randomBytes(16).toString('hex') as Id;
}

/** Whether the text has the form of a 128-bit id. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && HEX_128.test(text);
}
