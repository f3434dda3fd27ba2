import type { Fault, KeyPath } from '../faults/fault.ts';
import { type FaultText, faultAtPath } from '../faults/node-fault.ts';
import { type MapNode, nodeAt, originAt } from '../reading/config-node.ts';
import { parseDuration } from '../reading/duration.ts';
import { authPaths, blockAt, enabledShorthands, SHORTHANDS, scalarAt, usedAt } from './auth-shorthand.ts';
import { JWT_EXPIRATION, JWT_SECRET } from './relay-schema.ts';
import { secretWeakness } from './secret-strength.ts';

/** Shortest and longest life of a token, milliseconds, as auth-jwt takes them. */
const MIN_EXPIRATION_MS = 60_000;
const MAX_EXPIRATION_MS = 30 * 86_400_000;

/** Faults between `auth`, the blocks of `security` that stand for entries of it, and the variables for tokens. */
export function authRuleFaults(root: MapNode): readonly Fault[] {
  return [
    ...doubles(root),
    ...incomplete(root),
    ...jwtSecrets(root),
    ...jwtExpirations(root),
    ...ringBesideVariable(root),
    ...nobody(root),
  ];
}

/** A plugin is set up in one place. */
function doubles(root: MapNode): readonly Fault[] {
  return SHORTHANDS.flatMap(({ block, use }) => {
    const [entry] = authPaths(root, use);
    if (entry === undefined || blockAt(root, block) === undefined) return [];
    const { line } = originAt(root, entry);
    const where = `auth[${entry[1]}]${line === undefined ? '' : ` in line ${line}`}`;
    return [fault(root, ['security', block], { expected: `either this block or ${where}, which set up the same`, found: 'both' })];
  });
}

/** What a block needs where it is enabled. */
function incomplete(root: MapNode): readonly Fault[] {
  const needed = { api_keys: [], jwt: ['secret'], basic_auth: ['username', 'password'] } as const;
  return enabledShorthands(root).flatMap(({ block }) => {
    const node = blockAt(root, block);
    if (node?.kind !== 'map') return [];
    return needed[block].flatMap((key) => (node.entries.has(key) ? [] : [missing(root, block, key)]));
  });
}

/** A variable that has no effect without another is told by its own name. */
function missing(root: MapNode, block: 'jwt' | 'basic_auth' | 'api_keys', key: string): Fault {
  if (block === 'jwt' && nodeAt(root, ['security', 'jwt', 'expiration'])?.origin.name !== undefined)
    return fault(root, ['security', 'jwt', 'expiration'], {
      expected: 'TOWLINE_JWT_SECRET beside it, or the variable unset',
      found: 'it alone',
    });
  const expected = block === 'jwt' ? `${JWT_SECRET}, here or as TOWLINE_JWT_SECRET` : `a ${key}`;
  return fault(root, ['security', block, key], { expected: `${expected}; or enabled: false` });
}

function jwtSecrets(root: MapNode): readonly Fault[] {
  return jwtValues(root, 'secret').flatMap(({ path, value }) => {
    const weakness = secretWeakness(value);
    return weakness === null ? [] : [fault(root, path, { expected: JWT_SECRET, found: weakness })];
  });
}

function jwtExpirations(root: MapNode): readonly Fault[] {
  return jwtValues(root, 'expiration').flatMap(({ path, value }) => {
    const ms = parseDuration(value);
    const fits = ms !== null && ms >= MIN_EXPIRATION_MS && ms <= MAX_EXPIRATION_MS;
    return fits ? [] : [fault(root, path, { expected: JWT_EXPIRATION })];
  });
}

/** The texts of a key wherever tokens are set up. */
function jwtValues(root: MapNode, key: 'secret' | 'expiration'): readonly { readonly path: KeyPath; readonly value: string }[] {
  const block = enabledShorthands(root).some(({ use }) => use === 'jwt') ? [['security', 'jwt', key]] : [];
  const entries = authPaths(root, 'jwt').flatMap((entry): KeyPath[] => {
    const ring = key === 'secret' ? nodeAt(root, [...entry, 'secrets']) : undefined;
    return [[...entry, key], ...(ring?.kind === 'list' ? ring.items.map((_, at) => [...entry, 'secrets', at]) : [])];
  });
  return [...block, ...entries].flatMap((path) => {
    const value = scalarAt(root, path);
    return typeof value === 'string' ? [{ path, value }] : [];
  });
}

/** A variable beside a ring would replace the whole of it. */
function ringBesideVariable(root: MapNode): readonly Fault[] {
  return authPaths(root, 'jwt').flatMap((entry) => {
    const path = [...entry, 'secret'];
    if (nodeAt(root, path)?.origin.name === undefined || nodeAt(root, [...entry, 'secrets']) === undefined) return [];
    const expected = 'the variable unset, or equal to the first of the secrets in auth: it would replace the whole list';
    return [fault(root, path, { expected, found: 'both' })];
  });
}

/** Somebody must be able to come in. A token is made from another credential, so tokens alone let nobody in. */
function nobody(root: MapNode): readonly Fault[] {
  const list = nodeAt(root, ['auth']);
  if (list !== undefined && list.kind !== 'list') return [];
  const keysOff = scalarAt(root, ['security', 'api_keys', 'enabled']) === false;
  const listed = list === undefined ? (keysOff ? [] : ['apikey']) : list.items.map((_, at) => usedAt(root, at));
  const names = [...listed, ...enabledShorthands(root).map(({ use }) => use)];
  if (names.some((name) => name !== 'jwt')) return [];
  const expected = 'another plugin in auth than jwt: nobody could come in';
  if (list !== undefined) return [fault(root, ['auth'], { expected })];
  return [fault(root, ['security', 'api_keys', 'enabled'], { expected: `true, or ${expected}`, found: 'false' })];
}

function fault(root: MapNode, path: KeyPath, text: FaultText): Fault {
  return faultAtPath(root, path, { ...text, secret: path[0] === 'auth' });
}
