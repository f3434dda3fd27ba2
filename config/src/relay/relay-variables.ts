import type { ConfigFlag, ConfigVariable } from '../reading/overlay.ts';
import { MONGODB_URI } from './store-variable.ts';

/** Variables that the relay reads itself. They win over the file. */
export const RELAY_VARIABLES: readonly ConfigVariable[] = Object.freeze([
  { name: 'TOWLINE_HOST', path: ['server', 'host'] },
  { name: 'TOWLINE_PORT', path: ['server', 'port'] },
  { name: 'TOWLINE_DATA', path: ['data'] },
  { name: 'TOWLINE_LOG_LEVEL', path: ['log_level'] },
  { name: 'TOWLINE_ADMIN_EMAILS', aliases: ['ADMIN_EMAILS'], path: ['admin_emails'], list: true },
  { name: 'TOWLINE_FORWARD_SECRET', aliases: ['FORWARD_SECRET'], path: ['forward_secret'], secret: true },
  {
    name: 'TOWLINE_ENCRYPTION_KEY',
    aliases: ['M9M_ENCRYPTION_KEY', 'N8N_ENCRYPTION_KEY'],
    path: ['credentials', 'encryption_key'],
    secret: true,
  },
  MONGODB_URI,
  { name: 'TOWLINE_JWT_SECRET', aliases: ['M9M_JWT_SECRET'], path: ['security', 'jwt', 'secret'], secret: true },
  { name: 'TOWLINE_JWT_EXPIRATION', aliases: ['M9M_JWT_EXPIRATION'], path: ['security', 'jwt', 'expiration'] },
]);

/** Values of the command line. They win over variables and file. */
export interface RelayFlags {
  readonly host?: string;
  readonly port?: string | number;
  readonly data?: string;
}

/** The flags with the keys that they stand for. */
export function relayFlags(flags: RelayFlags): readonly ConfigFlag[] {
  return [
    { name: '--host', path: ['server', 'host'], value: flags.host },
    { name: '--port', path: ['server', 'port'], value: flags.port },
    { name: '--data', path: ['data'], value: flags.data },
  ];
}
