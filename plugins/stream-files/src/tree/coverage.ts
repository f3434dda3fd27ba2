import { TowlineError } from '@towline/protocol/plain';
import { MAX_COVERAGE_TEXT, MAX_COVERED_FOLDERS, MAX_DEPTH, MAX_LINK_BYTES } from '../limits.ts';
import { FileFault, faultCode } from './file-fault.ts';
import { checkName } from './names.ts';

/** How much of one folder is meant. */
export interface CoveredFolder {
  /** Everything in it, however deep. */
  readonly isTree: boolean;
  /** Every name in it; of the folders among them only what `inner` says. True of a tree too. */
  readonly isWhole: boolean;
  /** Its name itself, whether something stands there or not. */
  readonly isNamed: boolean;
  /** Names in it that are meant, or under which something is, one character a byte. */
  readonly inner: ReadonlyMap<string, CoveredFolder>;
}

/** Parts of a tree as they are told a peer: paths below the root, the root's own is empty. */
export interface CoverageText {
  readonly names: readonly string[];
  readonly folders: readonly string[];
  readonly trees: readonly string[];
}

const NONE: ReadonlyMap<string, CoveredFolder> = new Map();
/** All of a folder. */
export const TREE: CoveredFolder = Object.freeze({ isTree: true, isWhole: true, isNamed: false, inner: NONE });
/** Nothing in a folder. */
export const NOTHING_IN_IT: CoveredFolder = Object.freeze({ isTree: false, isWhole: false, isNamed: false, inner: NONE });

/** How much is meant of a folder in another one. */
export function coveredIn({ isTree, inner }: CoveredFolder, name: Buffer): CoveredFolder {
  return isTree ? TREE : (inner.get(name.toString('latin1')) ?? NOTHING_IN_IT);
}

interface Node {
  isTree: boolean;
  isWhole: boolean;
  isNamed: boolean;
  readonly inner: Map<string, Node>;
}

/** A name alone, a folder with the names in it, or everything below a name. */
type Kind = 'name' | 'folder' | 'tree';

const newNode = (): Node => ({ isTree: false, isWhole: false, isNamed: false, inner: new Map() });

/**
 * Which parts of a tree are meant: single names, folders with every name in them, and trees with everything below. It grows only, and becomes the
 * whole tree when it has too many.
 */
export class Coverage {
  readonly #root = newNode();
  #count = 0;

  /** All of a tree. */
  static whole(): Coverage {
    const coverage = new Coverage();
    coverage.addTree(Buffer.alloc(0));
    return coverage;
  }

  /** What a peer has told. @throws TowlineError `protocol_error` for what is no path below a root. */
  static of({ names, folders, trees }: Readonly<Record<keyof CoverageText, readonly Buffer[]>>): Coverage {
    const coverage = new Coverage();
    try {
      for (const path of names) coverage.#add(wayOf(path), 'name');
      for (const path of folders) coverage.#add(wayOf(path), 'folder');
      for (const path of trees) coverage.#add(wayOf(path), 'tree');
    } catch (cause) {
      throw new TowlineError('protocol_error', 'The peer named a folder that cannot be one of the tree.', { cause });
    }
    return coverage;
  }

  get root(): CoveredFolder {
    return this.#root;
  }

  get isWhole(): boolean {
    return this.#root.isTree;
  }

  get isEmpty(): boolean {
    return !this.#root.isWhole && this.#root.inner.size === 0;
  }

  /** Means what stands under a name, of a folder that it is there; see {@link Coverage.addFolder}. */
  addName(path: Buffer): void {
    this.#addPath(path, 'name');
  }

  /** Means every name in a folder. The whole tree is meant when that is no path below the root: it may be a peer's. */
  addFolder(path: Buffer): void {
    this.#addPath(path, 'folder');
  }

  /** Means something and everything below it; see {@link Coverage.addFolder}. */
  addTree(path: Buffer): void {
    this.#addPath(path, 'tree');
  }

  /** Means what another one means too. */
  add(other: Coverage): void {
    for (const { way, kind } of parts(other.#root, [])) this.#add(way, kind);
  }

  /** Whether every name in a folder is meant. */
  has(path: Buffer): boolean {
    let node = this.#root;
    for (const name of namesOf(path)) {
      if (node.isTree) return true;
      const inner = node.inner.get(name);
      if (inner === undefined) return false;
      node = inner;
    }
    return node.isWhole;
  }

  /** As it is told a peer; with folders instead of names when that is shorter and has to be. Null for the whole tree, or what is too long to be told. */
  toText(): CoverageText | null {
    if (this.isWhole) return null;
    return [textOf(this), textOf(this.#withoutNames())].find(isTellable) ?? null;
  }

  /** What is meant, by paths, one character a byte. */
  *parts(): Generator<{ readonly path: string; readonly kind: Kind }> {
    for (const { way, kind } of parts(this.#root, [])) yield { path: way.join('/'), kind };
  }

  #withoutNames(): Coverage {
    const coverage = new Coverage();
    for (const { way, kind } of parts(this.#root, [])) {
      if (kind === 'name') coverage.#add(way.slice(0, -1), 'folder');
      else coverage.#add(way, kind);
    }
    return coverage;
  }

  #addPath(path: Buffer, kind: Kind): void {
    try {
      this.#add(wayOf(path), kind);
    } catch (error) {
      faultCode(error);
      makeTree(this.#root);
    }
  }

  /** @throws FileFault. */
  #add(way: readonly string[], kind: Kind): void {
    let node = this.#root;
    for (const [at, name] of way.entries()) {
      if (node.isTree || (kind === 'name' && node.isWhole && at === way.length - 1)) return;
      let inner = node.inner.get(name);
      if (inner === undefined) {
        // Those on the way count too: each takes as much memory as those that are meant.
        this.#count += 1;
        if (this.#count > MAX_COVERED_FOLDERS) return makeTree(this.#root);
        inner = newNode();
        node.inner.set(name, inner);
      }
      node = inner;
    }
    if (node.isTree) return;
    if (kind === 'tree') makeTree(node);
    else if (kind === 'folder') node.isWhole = true;
    else node.isNamed = true;
  }
}

function makeTree(node: Node): void {
  node.isWhole = true;
  node.isTree = true;
  node.inner.clear();
}

function textOf(coverage: Coverage): CoverageText {
  const text = { names: [] as string[], folders: [] as string[], trees: [] as string[] };
  for (const { path, kind } of coverage.parts()) text[`${kind}s`].push(path);
  return text;
}

/** Whether a peer takes it: no path of it is longer than a path is elsewhere, and all of it fits a frame. */
function isTellable(text: CoverageText): boolean {
  const isShort = Object.values(text).every((paths: readonly string[]) => paths.every(({ length }) => length <= MAX_LINK_BYTES));
  return isShort && Buffer.byteLength(JSON.stringify(text)) <= MAX_COVERAGE_TEXT;
}

function* parts({ isTree, isWhole, isNamed, inner }: Node, way: readonly string[]): Generator<{ way: readonly string[]; kind: Kind }> {
  if (isTree) return yield { way, kind: 'tree' };
  if (isNamed) yield { way, kind: 'name' };
  if (isWhole) yield { way, kind: 'folder' };
  for (const [name, node] of inner) yield* parts(node, [...way, name]);
}

function namesOf(path: Buffer): readonly string[] {
  return path.length === 0 ? [] : path.toString('latin1').split('/');
}

/** @throws FileFault for what is no path below a root. */
function wayOf(path: Buffer): readonly string[] {
  const way = namesOf(path);
  if (way.length > MAX_DEPTH + 1) throw new FileFault('too_deep');
  for (const name of way) checkName(Buffer.from(name, 'latin1'));
  return way;
}
