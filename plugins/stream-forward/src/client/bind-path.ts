import { once } from 'node:events';
import { type BigIntStats, lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { type Bound, cannotListen } from './bind.ts';

/** Longest path of a socket, bytes: what the system has room for, less the zero at its end. Node cuts longer ones without a word. */
const LONGEST = process.platform === 'linux' ? 107 : 103;
/** Nobody but the owner opens what is made under it: the system applies it to a socket also where a folder has an access list. */
const MASK = 0o177;
/** Of a folder: only the owner of a file in it, or of itself, replaces it. */
const STICKY = 0o1000;
const WRITABLE_BY_ALL = 0o002;

/**
 * Listens on a path that nobody but this user can open. A socket of this user on which nobody listens any more is replaced; whatever else
 * is there is kept, also when it comes there later. @throws TowlineError `cannot_listen`.
 */
export async function bindPath(path: string, onConnection: (socket: Socket) => void): Promise<Bound<Server>> {
  if (Buffer.byteLength(path) > LONGEST) throw cannotUse(`The path ${path} is longer than the ${LONGEST} bytes that a socket may have.`);
  // The system's own word for it, as Node passes it on, is that this user may not.
  if (!isFolder(dirname(path))) throw cannotUse(`There is no folder ${dirname(path)}.`);
  await makePlace(path);
  const server = createServer({ allowHalfOpen: true }, onConnection);
  const made = listenAlone(server, path);
  const close = () => closeOwn(server, path, made);
  try {
    await once(server, 'listening');
    if (made === null) throw cannotUse(`Somebody has put something else in the place of ${path}.`);
  } catch (error) {
    close();
    throw error instanceof TowlineError ? error : cannotListen(path, error as NodeJS.ErrnoException);
  }
  return { parts: [server], places: [path], port: 0, isWide: false, close };
}

/** Why others could have programs of this machine talk to them in the place of a socket here; null when they could not. */
export function exposedFolder(path: string): string | null {
  const folder = dirname(path);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return null;
  const { mode, uid } = found;
  const isTheirs = uid !== 0 && uid !== process.geteuid?.();
  const isOpen = (mode & WRITABLE_BY_ALL) !== 0 && (mode & STICKY) === 0;
  return isTheirs || isOpen ? `others can write to the folder ${folder}: they can put a socket of their own in the place of ${path}` : null;
}

/** Begins to listen, in one turn. Answers the socket that was made; null when there is none, or somebody was quicker to replace it. */
function listenAlone(server: Server, path: string): BigIntStats | null {
  const mask = process.umask(MASK);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  const made = server.listening ? look(path) : null;
  return made !== null && isOwn(made) ? made : null;
}

/** Closing a server removes what is at its path, whatever that is: one that was replaced is left to the end of the program. */
function closeOwn(server: Server, path: string, made: BigIntStats | null): void {
  const found = look(path);
  if (found === null || (made !== null && isSame(found, made))) server.close();
  else server.unref();
}

async function makePlace(path: string): Promise<void> {
  const found = look(path);
  if (found === null) return;
  if (!found.isSocket()) throw cannotUse(`There is something at ${path} that is no socket; it is kept.`);
  if (!(await isLeftBehind(path))) throw cannotUse(`Another program uses ${path}.`);
  if (!isOwn(found)) throw cannotUse(`At ${path} is a socket that another user has left behind; it is kept.`);
  const now = look(path);
  // Another program may have come to the same conclusion, and listen there by now.
  if (now === null || !isSame(now, found) || now.ctimeNs !== found.ctimeNs) throw cannotUse(`Another program uses ${path}.`);
  try {
    unlinkSync(path);
  } catch (error) {
    throw cannotListen(path, error as NodeJS.ErrnoException);
  }
}

/** Whether nobody listens: a socket that is busy, or that this user may not use, has somebody. */
async function isLeftBehind(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** What is there, links not followed; null when nothing is, or nothing that can be seen. */
function look(path: string): BigIntStats | null {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return null;
  }
}

function isOwn(found: BigIntStats): boolean {
  return found.isSocket() && (process.geteuid === undefined || found.uid === BigInt(process.geteuid()));
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function cannotUse(message: string): TowlineError {
  return new TowlineError('cannot_listen', message, { hint: 'Choose another path, or see whose it is and remove it.' });
}
