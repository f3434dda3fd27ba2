/** Why something cannot be done with one file, by the name of a system error or a word of ours. */
export class FileFault extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.name = 'FileFault';
    this.code = code;
  }
}

/** The code of whatever was thrown by a file operation. Anything else than a fault of the file goes on. */
export function faultCode(thrown: unknown): string {
  if (thrown instanceof FileFault) return thrown.code;
  const { code, syscall } = thrown as { code?: unknown; syscall?: unknown };
  if (typeof code === 'string' && typeof syscall === 'string') return code;
  throw thrown;
}

/** The code of a name of which the sender of a sync says that nothing stands there. */
export const GONE = 'gone';

/** What the codes mean to a person. */
const TEXTS: Readonly<Record<string, string>> = Object.freeze({
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'there is a folder of that name',
  EEXIST: 'something else is there already',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'larger than files may be there',
  EROFS: 'the file system is read-only',
  EIO: 'the disk failed',
  ELOOP: 'a symbolic link is in the way; it is not followed',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  EILSEQ: 'the file system does not take that name',
  EINVAL: 'the file system does not take that',
  ETXTBSY: 'the program is running',
  EXDEV: 'on another file system',
  changed: 'it was changed while it was copied',
  hash_mismatch: 'what arrived is not what was sent; copy it again',
  special: 'a device, FIFO or socket; left out',
  no_file: 'a device, FIFO or socket is in the way; it is not replaced',
  partial: 'what an unfinished copy left; left out',
  taken_over: 'another copy of the same file took over',
  bad_name: 'its name is not one of a file; refused',
  duplicate: 'named twice; the second one is refused',
  root_link: 'a link came where a file or folder was asked for; refused',
  too_deep: 'too many folders inside each other',
  too_large: 'the file is too large',
  not_a_folder: 'there is something else than a folder of that name',
  no_parent: 'its folder could not be made',
  no_target: 'the folder that is to hold it does not exist',
  moved: 'its folder was replaced while it was worked on',
  not_a_tree: 'it is not a folder; a sync makes one folder like another',
  not_empty: 'a folder that is not empty is in the way; with --delete it is replaced',
  kept: 'something that is excluded is in the way; it is kept',
  excluded: 'it is excluded here; refused',
  too_many: 'there is too much for one run; run it again',
  other_root:
    'it is not the folder that the watch began with: that one was unmounted, replaced or removed. Nothing was deleted. Mount it or put it back; if this ' +
    'one is meant now, end the watch and start it again',
  interrupted: 'the way to the other side was interrupted',
  dropped: 'the receiver could not take it',
});

/** A code in words. One that is not known is shown as it is: it has letters and digits only. */
export function faultText(code: string): string {
  return TEXTS[code] ?? `error ${code}`;
}
