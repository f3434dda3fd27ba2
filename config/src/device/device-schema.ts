import { deviceNameFault, normaliseEmail, parseScope, type Scope, userScope } from '@towline/protocol';
import { z } from 'zod';
import type { JsonSchema } from '../reading/json-schema.ts';
import { httpsOrigin } from '../reading/network-name.ts';

// The message of every check is what a fault says was expected.

const MAPPING = { error: 'a mapping of keys to values' };
const RELAY = 'the https URL of a relay without user, path or query, such as https://relay.example.com:8085';
const OWNER = 'user:EMAIL, org:ID, or an e-mail address';
const NAME = 'a device name: 1 to 63 letters, digits, dots, dashes, underscores or inner spaces, and no command of towline';
const STREAM = 'the name of a stream: lower-case letters, digits and dashes';
const TARGET = 'a target, as HOST:PORTS or unix:PATH';
const USER = 'the name of a user';
/** As many as a device may report on its control stream. */
const MAX_SESSIONS = 5_000;
const SESSIONS = `a whole number from 1 to ${MAX_SESSIONS.toLocaleString('en')}`;
/** A busy forward has hundreds open; an idle one costs the device some kilobytes. */
const DEFAULT_CONNECTIONS = 2_000;

const checked = (expected: string, check: (value: string) => boolean) => z.string({ error: expected }).refine(check, expected);
const count = z.int({ error: SESSIONS }).min(1, SESSIONS).max(MAX_SESSIONS, SESSIONS);

/** Schema of device.yaml. Every key in it takes effect. */
export const deviceSchema = z.strictObject(
  {
    relay: checked(RELAY, (value) => httpsOrigin(value) !== null)
      .optional()
      .describe('URL of the relay'),
    owner: checked(OWNER, (value) => readOwner(value) !== null)
      .optional()
      .describe('Who the device asks to belong to'),
    name: checked(NAME, (value) => deviceNameFault(value) === null)
      .optional()
      .describe('Name the device asks for; the host name without'),
    streams: z
      .array(
        checked(STREAM, (value) => /^[a-z0-9][a-z0-9-]{0,62}$/.test(value)),
        { error: 'a list of streams' },
      )
      .default(['shell', 'exec', 'files', 'forward'])
      .describe('What the device serves'),
    allow: z
      .array(
        checked(TARGET, (value) => value !== ''),
        { error: 'a list of targets' },
      )
      .optional()
      .describe('Targets that may be forwarded to'),
    run_as: checked(USER, (value) => /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/.test(value))
      .optional()
      .describe('User that shells and commands run as'),
    limits: z
      .strictObject(
        {
          sessions: count.default(64).describe('Sessions at once'),
          connections: count.default(DEFAULT_CONNECTIONS).describe('Forwarded connections at once'),
        },
        MAPPING,
      )
      .prefault({}),
  },
  MAPPING,
);

/** device.yaml as it was written, with defaults filled in. */
export type DeviceConfigInput = z.output<typeof deviceSchema>;

/** The scope that an owner names; a bare e-mail address stands for the person. Null when it is neither. */
export function readOwner(text: string): Scope | null {
  const email = normaliseEmail(text);
  return email === null ? parseScope(text) : userScope(email);
}

/** JSON Schema (draft 2020-12) of device.yaml. */
export function deviceConfigJsonSchema(): JsonSchema {
  return z.toJSONSchema(deviceSchema, { io: 'input' }) as JsonSchema;
}
