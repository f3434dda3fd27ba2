import { normaliseEmail } from '@towline/protocol';
import { z } from 'zod';
import { DURATION_EXPECTED, parseDuration } from '../reading/duration.ts';
import type { JsonSchema } from '../reading/json-schema.ts';
import { httpsOrigin, isHost, isNarrowNetwork } from '../reading/network-name.ts';
import { ENCRYPTION_KEY, encryptionKeyWeakness } from './encryption-key.ts';
import { MIN_SECRET_LENGTH, secretWeakness } from './secret-strength.ts';

// The message of every check is what a fault says was expected.

const MAPPING = { error: 'a mapping of keys to values' };
const PLUGIN_NAME = 'the name of a plugin: lower-case letters, digits and dashes';
const PLUGIN = 'the name of a plugin, or a mapping with `use: NAME` and its options';
/** Shortest and longest life of a request to enrol, milliseconds: a person has to see it, and nobody waits for a month. */
const MIN_EXPIRY_MS = 1_000;
const MAX_EXPIRY_MS = 30 * 86_400_000;

const text = (expected: string) => z.string({ error: expected }).min(1, expected);
const wholeNumber = (min: number, max: number) => {
  const expected = `a whole number from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}`;
  return z.int({ error: expected }).min(min, expected).max(max, expected);
};
const flag = () => z.boolean({ error: 'true or false' });
const checked = (expected: string, check: (value: string) => boolean) => text(expected).refine(check, expected);
const list = <Item extends z.ZodType>(item: Item, expected: string) => z.array(item, { error: expected });

const pluginName = z.string({ error: PLUGIN_NAME }).regex(/^[a-z0-9][a-z0-9-]{0,62}$/, PLUGIN_NAME);
const pluginEntry = z.union([pluginName, z.looseObject({ use: pluginName }, MAPPING)], { error: PLUGIN });
const sinkEntry = z.union(
  [
    pluginName,
    z.looseObject(
      { use: pluginName, required: flag().default(true).describe('Whether sessions are refused while this sink cannot write') },
      MAPPING,
    ),
  ],
  { error: PLUGIN },
);
/** What a fault says where the secret of tokens was expected. */
export const JWT_SECRET = `a random secret of at least ${MIN_SECRET_LENGTH} characters, such as \`openssl rand -base64 32\` prints`;
/** What a fault says where the life of tokens was expected. */
export const JWT_EXPIRATION = `${DURATION_EXPECTED}, from 1m to 30d`;
const forwardSecret = z
  .string({ error: `a secret of at least ${MIN_SECRET_LENGTH} characters` })
  .refine(
    (value) => secretWeakness(value) === null,
    `a random secret of at least ${MIN_SECRET_LENGTH} characters, such as \`openssl rand -base64 32\` prints`,
  );
const encryptionKey = z.string({ error: ENCRYPTION_KEY }).refine((value) => encryptionKeyWeakness(value) === null, ENCRYPTION_KEY);
const ENCRYPTION_KEY_ID = 'a name of 1 to 32 lower-case letters, digits and dashes';
const credentials = z.strictObject(
  {
    encryption_key: encryptionKey.optional().describe('Key that secrets in the store are encrypted with'),
    encryption_keys: list(
      z.strictObject(
        { id: z.string({ error: ENCRYPTION_KEY_ID }).regex(/^[a-z0-9][a-z0-9-]{0,31}$/, ENCRYPTION_KEY_ID), key: encryptionKey },
        MAPPING,
      ),
      'a list of keys, `{ id, key }`, the newest first',
    )
      .min(1, 'at least one key')
      .max(16, 'at most 16 keys')
      .optional()
      .describe('The same as a ring: the first encrypts, all decrypt'),
    storage: z.literal('database', { error: 'database' }).default('database').describe('Where secrets are kept'),
  },
  MAPPING,
);
const port = z.int({ error: 'a port from 0 to 65535' }).min(0, 'a port from 0 to 65535').max(65_535, 'a port from 0 to 65535');
const publicUrl = checked(
  'an https URL without user, path or query, such as https://relay.example.com',
  (value) => httpsOrigin(value) !== null,
);
const expiry = checked(`${DURATION_EXPECTED}, from 1s to 30d`, (value) => {
  const ms = parseDuration(value);
  return ms !== null && ms >= MIN_EXPIRY_MS && ms <= MAX_EXPIRY_MS;
});
/** A limit that may be left out by 0; parseDuration bounds it from above. */
const limit = () => checked(`${DURATION_EXPECTED}, or 0s for no limit`, (value) => parseDuration(value) !== null).default('0s');

const tls = z.strictObject(
  {
    enabled: flag()
      .default(true)
      .describe('Whether the relay speaks TLS itself. Off only on a loopback host, behind a proxy of the same machine'),
    cert_file: text('the path of a PEM file')
      .optional()
      .describe('Certificate chain, PEM. Without it the relay makes a CA and a certificate of its own'),
    key_file: text('the path of a PEM file').optional().describe('Private key of the certificate, PEM'),
  },
  MAPPING,
);
const server = z.strictObject(
  {
    host: checked('an IP address or host name', isHost).default('0.0.0.0').describe('Address to listen on'),
    port: port.default(8085).describe('Port to listen on; 0 takes a free one'),
    public_url: publicUrl.optional().describe('URL by which people and devices reach the relay'),
    tls: tls.prefault({}),
    trusted_proxies: list(checked('a network such as 10.0.0.0/8, narrower than everything', isNarrowNetwork), 'a list of networks')
      .default([])
      .describe('Proxies whose forwarded addresses are believed'),
  },
  MAPPING,
);
const enrolment = z.strictObject(
  {
    expiry: expiry.default('1h').describe('How long a request to enrol waits for approval'),
    max_pending_per_owner: wholeNumber(1, 10_000).default(20).describe('Requests that may wait for one owner'),
    max_pending_per_address: wholeNumber(1, 10_000).default(10).describe('Requests that may wait from one address'),
  },
  MAPPING,
);
const sessions = z.strictObject(
  {
    idle: limit().describe('How long a session may carry nothing in either direction; 0s: without end'),
    max_duration: limit().describe('How long a session may last; 0s: without end'),
  },
  MAPPING,
);
const enabled = (what: string) => flag().default(true).describe(`Whether ${what}; the block alone says so`);
// What the values must be is checked where the block is enabled: a file may carry an empty one that is switched off.
const security = z.strictObject(
  {
    jwt: z
      .strictObject(
        {
          enabled: enabled('the relay signs tokens itself'),
          secret: z.string({ error: JWT_SECRET }).optional().describe('Signs and verifies tokens'),
          expiration: z.string({ error: JWT_EXPIRATION }).optional().describe('Life of a token'),
        },
        MAPPING,
      )
      .optional(),
    api_keys: z.strictObject({ enabled: enabled('API keys are taken') }, MAPPING).optional(),
    basic_auth: z
      .strictObject(
        {
          enabled: enabled('one user logs in by name and password'),
          username: z.string({ error: 'a user name' }).optional().describe('Name of the user, a platform admin'),
          password: z.string({ error: 'a password' }).optional().describe('Password of the user'),
        },
        MAPPING,
      )
      .optional(),
  },
  MAPPING,
);

/** Schema of the relay's configuration, without the options of plugins. Every key in it takes effect. */
export const relaySchema = z.strictObject(
  {
    server: server.prefault({}),
    data: text('the path of a folder').default('./towline-data').describe('Folder of the store and the keys of the relay'),
    log_level: z
      .enum(['debug', 'info', 'warn', 'error'], { error: 'debug, info, warn or error' })
      .default('info')
      .describe('Least level that is logged'),
    admin_emails: list(
      checked('an e-mail address', (value) => normaliseEmail(value) !== null),
      'a list of e-mail addresses',
    )
      .default([])
      .describe('Platform admins, by verified e-mail address'),
    forward_secret: forwardSecret.optional().describe('Seed of the key that signs grants'),
    forward_secrets: list(forwardSecret, 'a list of secrets, the newest first')
      .min(1, 'at least one secret')
      .max(16, 'at most 16 secrets')
      .optional()
      .describe('Seeds of the keys that sign grants, the newest first'),
    credentials: credentials.prefault({}),
    store: pluginEntry.default('sqlite').describe('Where state is kept'),
    auth: list(pluginEntry, 'a list of auth plugins')
      .min(1, 'at least one auth plugin')
      .default(['apikey'])
      .describe('Who may come in, asked in this order'),
    audit: z
      .strictObject(
        { sinks: list(sinkEntry, 'a list of audit sinks').default([]).describe('Where the trail is written besides the store') },
        MAPPING,
      )
      .prefault({}),
    streams: list(pluginEntry, 'a list of stream plugins')
      .default(['shell', 'exec', 'files', 'forward'])
      .describe('What the relay offers to do on devices'),
    transports: list(pluginEntry, 'a list of transport plugins')
      .min(1, 'at least one transport')
      .default(['tls', 'quic'])
      .describe('How links reach the relay'),
    plugins: list(text('the name or path of a package'), 'a list of packages')
      .default([])
      .describe('Packages with plugins beyond those that come with the relay'),
    enrolment: enrolment.prefault({}),
    sessions: sessions.prefault({}),
    security: security.prefault({}),
  },
  MAPPING,
);

/** The relay's configuration as it was written, with defaults filled in. */
export type RelayConfigInput = z.output<typeof relaySchema>;

/** JSON Schema (draft 2020-12) of the relay's configuration file, without the options of plugins. */
export function relayConfigJsonSchema(): JsonSchema {
  return z.toJSONSchema(relaySchema, { io: 'input' }) as JsonSchema;
}
