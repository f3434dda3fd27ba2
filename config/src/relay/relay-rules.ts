import type { Fault, KeyPath } from '../faults/fault.ts';
import { type FaultText, faultAtPath } from '../faults/node-fault.ts';
import { type MapNode, nodeAt } from '../reading/config-node.ts';
import { repeatedEntries } from '../reading/list-rule.ts';
import { isLoopbackHost } from '../reading/network-name.ts';

/**
 * Faults between keys. They look at the values as they are written, so that they are found together with the
 * faults of single keys.
 */
export function relayRuleFaults(root: MapNode): readonly Fault[] {
  const rules = new Rules(root);
  return [
    ...rules.tls(),
    ...rules.certificate(),
    ...rules.secrets(),
    ...rules.encryptionKeys(),
    ...['streams', 'transports', 'plugins'].flatMap((key) => repeatedEntries(root, key)),
  ];
}

class Rules {
  readonly #root: MapNode;

  constructor(root: MapNode) {
    this.#root = root;
  }

  tls(): Fault[] {
    const host = this.#value(['server', 'host']) ?? '0.0.0.0';
    if (this.#value(['server', 'tls', 'enabled']) !== false || typeof host !== 'string' || isLoopbackHost(host)) return [];
    const expected = 'true, or server.host to be a loopback address such as 127.0.0.1: without TLS credentials are readable on the way';
    return [this.#fault(['server', 'tls', 'enabled'], { expected, found: 'false with a host that others can reach' })];
  }

  certificate(): Fault[] {
    const [cert, key] = [this.#present(['server', 'tls', 'cert_file']), this.#present(['server', 'tls', 'key_file'])];
    if (cert !== key) {
      const [given, missing] = cert ? ['cert_file', 'key_file'] : ['key_file', 'cert_file'];
      return [this.#fault(['server', 'tls', given], { expected: `${missing} beside it`, found: `${given} alone` })];
    }
    if (!cert || this.#value(['server', 'tls', 'enabled']) !== false) return [];
    return [
      this.#fault(['server', 'tls', 'cert_file'], {
        expected: 'no certificate where tls.enabled is false',
        found: 'one that would not be used',
      }),
    ];
  }

  secrets(): readonly Fault[] {
    const list = nodeAt(this.#root, ['forward_secrets']);
    const duplicates = repeatedEntries(this.#root, 'forward_secrets');
    if (list === undefined || !this.#present(['forward_secret'])) return duplicates;
    const fromVariable = nodeAt(this.#root, ['forward_secret'])?.origin.name;
    // A variable that repeats the newest secret of the list contradicts nothing.
    if (fromVariable !== undefined && this.#value(['forward_secret']) === this.#value(['forward_secrets', 0])) return duplicates;
    const expected = fromVariable
      ? 'the variable unset, or equal to the first of forward_secrets: it would replace the whole list'
      : 'either forward_secret or forward_secrets';
    return [...duplicates, this.#fault(['forward_secret'], { expected, found: 'both' })];
  }

  encryptionKeys(): readonly Fault[] {
    const list = nodeAt(this.#root, ['credentials', 'encryption_keys']);
    if (list?.kind !== 'list') return [];
    const repeated = list.items.flatMap((_, at) => ['id', 'key'].flatMap((name) => this.#repeatedKey(at, name)));
    const key = nodeAt(this.#root, ['credentials', 'encryption_key']);
    if (key === undefined) return repeated;
    const fromVariable = key.origin.name !== undefined;
    // A variable that repeats the newest key of the ring contradicts nothing.
    if (fromVariable && this.#value(['credentials', 'encryption_key']) === this.#value(['credentials', 'encryption_keys', 0, 'key']))
      return repeated;
    const expected = fromVariable
      ? 'the variable unset, or equal to the first of encryption_keys: it would replace the whole ring'
      : 'either encryption_key or encryption_keys';
    return [...repeated, this.#fault(['credentials', 'encryption_key'], { expected, found: 'both' })];
  }

  #repeatedKey(at: number, name: string): readonly Fault[] {
    const path = (index: number) => ['credentials', 'encryption_keys', index, name];
    const value = this.#value(path(at));
    const first = Array.from({ length: at }, (_, index) => index).find((index) => this.#value(path(index)) === value);
    if (value === undefined || first === undefined) return [];
    return [this.#fault(path(at), { expected: 'each once', found: `the same as in encryption_keys[${first}]` })];
  }

  #value(path: KeyPath): unknown {
    const node = nodeAt(this.#root, path);
    return node?.kind === 'scalar' ? node.value : undefined;
  }

  #present(path: KeyPath): boolean {
    return nodeAt(this.#root, path) !== undefined;
  }

  #fault(path: KeyPath, text: FaultText): Fault {
    return faultAtPath(this.#root, path, text);
  }
}
