import { isIP } from 'node:net';
import { TowlineError } from '@towline/protocol';
import { parseHost } from '../target/host.ts';
import { pathFault } from '../target/target.ts';

/** Where a forward listens on this machine. */
export type LocalEnd =
  /** `bind` absent: both loopback addresses. Port 0 takes a free one. */
  | { readonly kind: 'ports'; readonly bind?: string; readonly first: number; readonly last: number }
  | { readonly kind: 'path'; readonly path: string };

/** What a forward leads to, from the device on. */
export type FarEnd =
  | { readonly kind: 'ports'; readonly host: string; readonly first: number; readonly last: number }
  | { readonly kind: 'path'; readonly path: string };

/** One TARGET of the command line. */
export interface Forward {
  /** As it was typed. */
  readonly text: string;
  readonly protocol: 'tcp' | 'udp';
  readonly local: LocalEnd;
  readonly far: FarEnd;
}

/** The device itself, by both of its loopback addresses. */
const DEVICE = 'localhost';
const MAX_PORT = 65_535;
const EXAMPLES = 'Examples: 8080, 9000:8080, 9000:db.internal:5432, 5353:53/udp, 8001-8003, ./local.sock:/run/app.sock.';

/** Reads `PORT` or `[BIND:]LOCAL[:HOST]:PORT`, each with `/udp`, with ranges of ports and paths of unix sockets. @throws TowlineError `usage`. */
export function parseForward(text: string): Forward {
  const suffixed = /^(.*[0-9])\/(tcp|udp)$/.exec(text);
  const isPath = suffixed !== null && /(^|:)\.{0,2}\//.test(suffixed[1]!) && lastField(suffixed[1]!).includes('/');
  const [body, protocol] = suffixed === null || isPath ? [text, 'tcp'] : [suffixed[1]!, suffixed[2]!];
  const ends = readEnds(splitFields(body, text), text);
  if (protocol === 'udp' && (ends.local.kind === 'path' || ends.far.kind === 'path')) throw fault(text, 'a unix socket has no /udp');
  return { text, protocol: protocol as 'tcp' | 'udp', ...ends };
}

function lastField(text: string): string {
  return text.slice(text.lastIndexOf(':') + 1);
}

/** Cuts at colons outside of brackets; the path of the device, which begins with a slash, is the rest. */
function splitFields(body: string, text: string): string[] {
  const fields: string[] = [];
  let rest = body;
  for (;;) {
    const found = (rest.startsWith('[') ? /^\[([^\]]*)\](?::|$)/ : /^([^:]*)(?::|$)/).exec(rest);
    if (found === null) throw fault(text, 'a bracket is not closed');
    const isFarPath = fields.length > 0 && rest.startsWith('/');
    fields.push(isFarPath ? rest : found[1]!);
    if (isFarPath || found[0].length === rest.length) {
      if (!isFarPath && found[0].endsWith(':')) throw fault(text, 'nothing follows the last colon');
      return fields;
    }
    rest = rest.slice(found[0].length);
  }
}

function readEnds(fields: readonly string[], text: string): Pick<Forward, 'local' | 'far'> {
  const isPort = (field: string | undefined) => field !== undefined && /^[0-9]+(-[0-9]+)?$/.test(field);
  const isLocalPath = (field: string | undefined) => field !== undefined && /^\.{0,2}\//.test(field);
  const far = fields.at(-1)!;
  if (fields.length === 1) {
    if (isLocalPath(far)) throw fault(text, 'say where to listen before it, as in 2375:/run/app.sock');
    return joined(portsOf(far, { text, least: 1 }), portsOf(far, { text, least: 1 }), { text, host: DEVICE });
  }
  const hasBind = !isPort(fields[0]) && !isLocalPath(fields[0]);
  const [local, host, ...more] = fields.slice(hasBind ? 1 : 0, -1);
  if (local === undefined || more.length > 0 || !(isPort(local) || (isLocalPath(local) && !hasBind))) throw malformed(fields, text);
  const bind = hasBind ? checkBind(fields[0]!, text) : undefined;
  if (isLocalPath(far)) {
    if (host !== undefined) throw fault(text, 'a unix socket is on the device itself, so no host stands before it');
    return { local: localEnd(local, { bind, text }), far: { kind: 'path', path: checkPath(far, text) } };
  }
  const target = { text, host: checkHost(host ?? DEVICE, text) };
  const farPorts = portsOf(far, { text, least: 1 });
  if (isLocalPath(local)) {
    if (farPorts.first !== farPorts.last) throw fault(text, 'one socket cannot lead to several ports');
    return { local: localEnd(local, { bind, text }), far: { kind: 'ports', host: target.host, ...farPorts } };
  }
  return joined(portsOf(local, { text, least: 0 }), farPorts, { ...target, ...(bind === undefined ? {} : { bind }) });
}

function localEnd(local: string, { bind, text }: { readonly bind: string | undefined; readonly text: string }): LocalEnd {
  if (!/^[0-9]/.test(local)) return { kind: 'path', path: local };
  const ports = portsOf(local, { text, least: 0 });
  if (ports.first !== ports.last) throw fault(text, 'several ports cannot lead to one socket');
  return { kind: 'ports', ...ports, ...(bind === undefined ? {} : { bind }) };
}

interface Ports {
  readonly first: number;
  readonly last: number;
}

function joined(
  local: Ports,
  far: Ports,
  { text, host, bind }: { readonly text: string; readonly host: string; readonly bind?: string },
): Pick<Forward, 'local' | 'far'> {
  if (local.last - local.first !== far.last - far.first) throw fault(text, 'the two ranges of ports are of different length');
  return { local: { kind: 'ports', ...local, ...(bind === undefined ? {} : { bind }) }, far: { kind: 'ports', host, ...far } };
}

function portsOf(field: string, { text, least }: { readonly text: string; readonly least: number }): Ports {
  const found = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(field);
  const [first, last] = [Number(found?.[1]), Number(found?.[2] ?? found?.[1])];
  if (found === null || first < least || last > MAX_PORT || last < first)
    throw fault(text, `“${field.slice(0, 80)}” is no port from ${least} to ${MAX_PORT}, and no range of ports`);
  if (first === 0 && last > 0) throw fault(text, 'a range cannot begin with port 0');
  return { first, last };
}

function checkBind(bind: string, text: string): string {
  if (bind === '*' || bind === 'localhost' || isIP(bind) !== 0) return bind;
  throw fault(text, `“${bind.slice(0, 80)}” is no address of this machine to listen on; to reach another host, write LOCAL:HOST:PORT`);
}

function checkHost(host: string, text: string): string {
  const read = parseHost(host);
  if (typeof read === 'string') throw fault(text, `the host “${host.slice(0, 80)}” is not valid: ${read}`);
  return host;
}

function checkPath(path: string, text: string): string {
  const wrong = pathFault(path);
  if (wrong !== null) throw fault(text, wrong);
  return path;
}

function malformed(fields: readonly string[], text: string): TowlineError {
  if (fields.length === 2) return fault(text, `say where to listen before it, as in ${lastField(text).replace(/\/.*/, '')}:${text}`);
  return fault(text, 'expected PORT or [BIND:]LOCAL[:HOST]:PORT, with IPv6 addresses in brackets');
}

function fault(text: string, why: string): TowlineError {
  return new TowlineError('usage', `The target “${text.slice(0, 200)}” cannot be understood: ${why}.`, { hint: EXAMPLES });
}
