/** Limits of the protocol. Each has its reason; a peer that exceeds one is refused, never obeyed. */

/** Entries that the sender may have announced and the receiver not settled: 5,000 small files a second at 100 ms. */
export const MAX_OPEN_ENTRIES = 512;
/** Folders inside folders. Each open one takes a descriptor on both sides. */
export const MAX_DEPTH = 200;
/** Longest name of one file, bytes: NAME_MAX of every common file system. */
export const MAX_NAME_BYTES = 255;
/** Longest target of a symbolic link, bytes: PATH_MAX of Linux without its NUL. */
export const MAX_LINK_BYTES = 4_095;
/** Largest payload of a frame of JSON, bytes: the longest link target with every byte escaped. */
export const MAX_JSON_PAYLOAD = 32_768;
/** Bytes of content in one frame: what one read of a file yields. */
export const MAX_DATA_PAYLOAD = 262_144;
/** Files up to this size are held in memory whole, and begin anew after a break. */
export const SMALL_FILE_BYTES = 262_144;
/** Bytes of a file that one hash stands for when a partial file is compared: what is sent twice at most after a torn write. */
export const BLOCK_BYTES = 1_048_576;
/** Bytes of a hash: SHA-256. */
export const HASH_BYTES = 32;
/** Hashes of blocks in one frame. */
export const MAX_HASHES_IN_FRAME = 256;
/** Hashes of blocks that may wait to be compared, all files together: 2 MiB. Above it the receiver is not listened to for a while. */
export const MAX_WAITING_HASHES = 65_536;
/** Large files that are open before it is their turn. */
export const FILES_OPENED_AHEAD = 2;
/** Files that are put into place at a time: their fsync goes to the disk together. */
export const FILES_PLACED_AT_ONCE = 32;
/** Files of which something is there already that are compared at a time: each has a descriptor. */
export const FILES_COMPARED_AT_ONCE = 128;
/** Bytes gathered before they are written to a large file. */
export const WRITE_BYTES = 1_048_576;
/** Frames of content that are read from a large file at a time: one step to another thread for a MiB. */
export const FRAMES_READ_AT_ONCE = 4;
/** Bytes of a large file after which what was written goes to the disk while more comes, so that not all of it does at the end. */
export const SYNC_BYTES = 67_108_864;
/** Names of a folder that are remembered to find duplicates, all folders together. Beyond it a duplicate replaces what came before. */
export const MAX_REMEMBERED_NAMES = 262_144;
/** Largest size of a file: beyond it numbers are not exact. */
export const MAX_FILE_BYTES = Number.MAX_SAFE_INTEGER;
/** Longest path in a frame that is for people only, bytes: every byte escaped fits a frame. */
export const MAX_SHOWN_PATH = 4_095;
/** Names of one folder that are held to be sorted: about 100 MB. */
export const MAX_SORTED_NAMES = 1_000_000;
/** Bytes of paths and names that a sync remembers to be removed at its end. Beyond it the rest is removed by the next run. */
export const MAX_REMEMBERED_EXTRAS = 67_108_864;
/** Patterns of a sync and their characters, all together: they fit an opening with room to spare. */
export const MAX_PATTERNS = 256;
export const MAX_PATTERN_BYTES = 12_288;
/** Files of one session that are noted by name in the audit trail; the rest is noted as a number. */
export const MAX_NOTED_FILES = 200;
/** Folders that are watched at a time on each side. */
export const MAX_WATCHED_FOLDERS = 100_000;
/** Folders and names that a run of a sync is confined to, with the folders on the way to them. For more of them the whole tree is gone through. */
export const MAX_COVERED_FOLDERS = 10_000;
/** Folders as they are told a peer, bytes of JSON: they fit a frame with what else is in it. */
export const MAX_COVERAGE_TEXT = 30_000;
