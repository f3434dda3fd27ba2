import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import { type Fault, formatPath, type KeyPath } from '../faults/fault.ts';
import { type ConfigNode, emptyMap, type MapNode, type Origin, type ScalarNode } from './config-node.ts';
import { disguiseReferences } from './reference-braces.ts';
import { parseYamlSyntax } from './yaml-syntax.ts';

/** Aliases in one file. They repeat a value or two; more is an attack or a generated file that can be written out. */
const MAX_ALIASES = 100;
/** Values of one file with all aliases resolved: aliases of aliases multiply. */
const MAX_VALUES = 50_000;
/** Faults kept of one file. */
const MAX_FAULTS = 1_000;
/** Levels of lists and mappings. Ours need five. */
const MAX_LEVELS = 32;

/** A document as values that know their lines. With faults the values are as many as could be read. */
export interface YamlDocument {
  readonly root: MapNode;
  readonly faults: readonly Fault[];
}

/** Reads a YAML 1.2 document whose root is a mapping (or nothing). Never throws for what is in the text. */
export function readYamlDocument(text: string, file: string): YamlDocument {
  const disguised = disguiseReferences(text);
  const syntax = parseYamlSyntax(disguised.text, file);
  const nothing = emptyMap({ file, line: 1 });
  const content = syntax.document?.contents;
  // After a fault of syntax what the parser made of the rest would only bring wrong faults.
  if (syntax.faults.length > 0 || content === null || content === undefined) return { root: nothing, faults: syntax.faults };
  const reader = new TreeReader(file, syntax.lineAt, disguised.restore);
  const root = reader.read(content, [], 1);
  if (root.kind === 'map') return { root, faults: reader.faults };
  if (root.kind === 'scalar' && root.value === null) return { root: nothing, faults: reader.faults };
  const fault = {
    file,
    line: root.origin.line ?? 1,
    key: '',
    expected: 'a mapping of keys to values',
    found: root.kind === 'list' ? 'a list' : 'a single value',
  };
  return { root: nothing, faults: [...reader.faults, fault] };
}

/** Turns the parser's nodes into ours, within limits on aliases, values and levels. */
class TreeReader {
  readonly faults: Fault[] = [];
  readonly #file: string;
  readonly #lineAt: (offset: number) => number;
  readonly #restore: (text: string) => string;
  readonly #anchors = new Map<string, Node>();
  /** Nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #aliases = 0;
  #values = 0;

  constructor(file: string, lineAt: (offset: number) => number, restore: (text: string) => string) {
    this.#file = file;
    this.#lineAt = lineAt;
    this.#restore = restore;
  }

  read(node: Node | null, path: KeyPath, line: number): ConfigNode {
    const origin = { file: this.#file, line };
    this.#values += 1;
    if (this.#values > MAX_VALUES) return this.#refuse(origin, [], `at most ${MAX_VALUES} values`, 'more');
    if (node === null) return { kind: 'scalar', value: null, origin };
    if (isAlias(node)) return this.#readAlias(node, path, origin);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return this.#readScalar(node.value, path, origin);
    if (path.length >= MAX_LEVELS) return this.#refuse(origin, [], `at most ${MAX_LEVELS} levels of lists and mappings`, 'more');
    this.#open.add(node);
    const read = this.#readCollection(node, path, origin);
    this.#open.delete(node);
    return read;
  }

  #readCollection(node: Node, path: KeyPath, origin: Origin): ConfigNode {
    if (isMap(node)) return this.#readMap(node, path, origin);
    if (!isSeq(node)) return this.#refuse(origin, path, 'a text, number, list or mapping', 'something else');
    const items = node.items.map((item, at) => this.read(item as Node | null, [...path, at], this.#lineOf(item as Node | null, origin)));
    return { kind: 'list', items, origin };
  }

  #readMap(map: YAMLMap, path: KeyPath, origin: Origin): MapNode {
    const entries = new Map<string, ConfigNode>();
    for (const pair of map.items as Pair<Node | null, Node | null>[]) {
      const line = this.#lineOf(pair.key, origin);
      const key = this.#readKey(pair.key, path, line);
      if (key === undefined) continue;
      const first = entries.get(key);
      if (first === undefined) entries.set(key, this.read(pair.value, [...path, key], line));
      else this.#fault(line, [...path, key], 'each key once', `a second one, the first is in line ${first.origin.line}`);
    }
    return { kind: 'map', entries, origin };
  }

  #readKey(key: Node | null, path: KeyPath, line: number): string | undefined {
    const text =
      isScalar(key) && (typeof key.value === 'string' || typeof key.value === 'number') ? this.#restore(String(key.value)) : undefined;
    // As a property name this one would change what an object is instead of adding to it.
    if (text !== undefined && text !== '__proto__') return text;
    this.#fault(line, path, 'a text as key', text === undefined ? 'something else' : 'a reserved name');
    return undefined;
  }

  #readScalar(value: unknown, path: KeyPath, origin: Origin): ScalarNode {
    if (typeof value === 'string') return { kind: 'scalar', value: this.#restore(value), origin };
    if (value === null || typeof value === 'boolean') return { kind: 'scalar', value, origin };
    if (typeof value === 'number' && Number.isFinite(value)) return { kind: 'scalar', value, origin };
    return this.#refuse(origin, path, 'a text, a finite number, true or false', 'something else');
  }

  #readAlias(alias: Alias, path: KeyPath, origin: Origin): ConfigNode {
    this.#aliases += 1;
    const target = this.#anchors.get(alias.source);
    if (target === undefined) return this.#refuse(origin, path, 'an alias of an anchor above', 'one of none');
    if (this.#open.has(target)) return this.#refuse(origin, path, 'an alias of a value beside it', 'one of a value that it is part of');
    if (this.#aliases > MAX_ALIASES) return this.#refuse(origin, [], `at most ${MAX_ALIASES} aliases`, 'more');
    return this.read(target, path, origin.line ?? 1);
  }

  #lineOf(node: Node | null, parent: Origin): number {
    return node?.range ? this.#lineAt(node.range[0]) : (parent.line ?? 1);
  }

  #refuse(origin: Origin, path: KeyPath, expected: string, found: string): ScalarNode {
    this.#fault(origin.line ?? 1, path, expected, found);
    return { kind: 'scalar', value: null, origin };
  }

  #fault(line: number, path: KeyPath, expected: string, found: string): void {
    if (this.faults.length >= MAX_FAULTS) return;
    const key = formatPath(path);
    // A limit that is exceeded once is exceeded by everything that follows; one line says it.
    if (!this.faults.some((fault) => fault.key === key && fault.expected === expected && (key === '' || fault.line === line)))
      this.faults.push({ file: this.#file, line, key, expected, found });
  }
}
