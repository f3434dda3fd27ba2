import { TowlineError } from '@towline/protocol';
import { formatHost, type Host, parseHost } from './host.ts';

/** Where a forwarded connection goes, from the device on. */
export type Target = NetworkTarget | UnixTarget;

/** A port of a host. */
export interface NetworkTarget {
  readonly kind: 'tcp' | 'udp';
  readonly host: Host;
  readonly port: number;
}

/** A socket in the file system of the device. */
export interface UnixTarget {
  readonly kind: 'unix';
  readonly path: string;
}

/** Longest path of a unix socket, bytes: `sun_path` of Linux, with its end. */
const LONGEST_PATH = 107;

/** A target as it stands in a message. */
export type TargetMessage =
  | { readonly kind: 'tcp' | 'udp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Reads a target of a message. @throws TowlineError `invalid_request`. */
export function readTarget(message: TargetMessage): Target {
  if (message.kind === 'unix') {
    const fault = pathFault(message.path);
    if (fault !== null) throw new TowlineError('invalid_request', `The target “${message.path}” is not valid: ${fault}.`);
    return message;
  }
  const host = parseHost(message.host);
  if (typeof host === 'string') throw new TowlineError('invalid_request', `The host “${message.host}” is not valid: ${host}.`);
  return { kind: message.kind, host, port: message.port };
}

/** The target as one form of many, for a message. */
export function targetMessage(target: Target): TargetMessage {
  return target.kind === 'unix' ? target : { kind: target.kind, host: formatHost(target.host), port: target.port };
}

/** The target as people write it: `db.internal:5432`, `[::1]:53/udp`, `/run/docker.sock`. */
export function targetText(target: TargetMessage): string {
  if (target.kind === 'unix') return target.path;
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${host}:${target.port}${target.kind === 'udp' ? '/udp' : ''}`;
}

/** What is wrong with the path of a unix socket on the device; null when nothing is. */
export function pathFault(path: string): string | null {
  if (!path.startsWith('/')) return 'a path on the device begins with /';
  if (/[\0-\x1f\x7f]/.test(path)) return 'a path of a socket has no control characters';
  if (path.split('/').some((part, at) => (part === '' && at > 0) || part === '.' || part === '..'))
    return 'a path without //, . and .. is needed';
  return Buffer.byteLength(path) > LONGEST_PATH ? `a path of a socket has at most ${LONGEST_PATH} bytes` : null;
}
