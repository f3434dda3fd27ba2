import { lstat, mkdtemp, realpath, rmdir, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';

/**
 * Longest path of a unix socket, bytes. sockaddr_un holds 104 to 108 of them by system; what is longer is cut there
 * without a word, and would be another path.
 */
const MAX_SOCKET_PATH = 100;
const PREFIX = 'towline-quic-';
const SOCKET = 's';
/** What mkdtemp adds. */
const RANDOM = 'XXXXXX';

/** A fresh folder that nobody but this user can enter, and the path of a socket in it. */
export interface PrivateFolder {
  readonly path: string;
  readonly socketPath: string;
}

/** Where such a folder may be made, the best place first. */
export function folderCandidates(dataDir: string, environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const all = [dataDir, environment.XDG_RUNTIME_DIR, tmpdir(), '/tmp'];
  return [...new Set(all.filter((path) => path !== undefined && isAbsolute(path)))] as string[];
}

/** Makes the folder in `parent`. @throws Error whose message says why not there. */
export async function makePrivateFolder(parent: string): Promise<PrivateFolder> {
  const real = await realpath(parent);
  const bytes = Buffer.byteLength(join(real, `${PREFIX}${RANDOM}`, SOCKET));
  if (bytes > MAX_SOCKET_PATH) throw new Error(`the path of a socket there has ${bytes} bytes, where ${MAX_SOCKET_PATH} are possible`);
  await refuseOthersFolders(real);
  const path = await mkdtemp(join(real, PREFIX));
  const made = await lstat(path);
  if (!made.isDirectory() || (made.mode & 0o077) !== 0 || made.uid !== (process.getuid?.() ?? made.uid)) {
    await rmdir(path).catch(() => undefined);
    throw new Error('what is made there is not private');
  }
  return { path, socketPath: join(path, SOCKET) };
}

/** Removes such a folder, also that of a process that is gone. Whatever else is called that stays. */
export async function removePrivateFolder(path: string): Promise<void> {
  if (!isAbsolute(path) || !basename(path).startsWith(PREFIX)) return;
  const found = await lstat(path).catch(() => null);
  if (found === null || !found.isDirectory() || found.uid !== (process.getuid?.() ?? found.uid)) return;
  await unlink(join(path, SOCKET)).catch(() => undefined);
  await rmdir(path).catch(() => undefined);
}

/**
 * Whoever may rename an entry on the way to the folder could put another in its place. On each level that is the owner
 * and, without the sticky bit, everybody who may write.
 */
async function refuseOthersFolders(path: string): Promise<void> {
  // Root, and where this user has a namespace of its own whoever root is seen as from there.
  const trusted = new Set([0, process.getuid?.() ?? 0, (await stat('/')).uid]);
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = await stat(at);
    if (!trusted.has(uid)) throw new Error(`${at} belongs to another user`);
    if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) throw new Error(`others may write to ${at}`);
    if (dirname(at) === at) return;
  }
}
