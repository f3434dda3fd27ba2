import type { Store } from '@towline/contract';

/** A store that keeps every promise but one. */
export interface Break {
  /** Name of the case that must notice. */
  readonly promise: string;
  /** What the store does wrong. */
  readonly fault: string;
  /** Makes it of a store that keeps all. Called again for every store that is opened on the same data. */
  of(store: Store): Store;
}

type RepositoryName = Exclude<keyof Store, 'ping' | 'standing' | 'isScopeUsed' | 'export' | 'import' | 'schema'>;

/** A store with some methods of one repository replaced. */
export function replace<Name extends RepositoryName>(store: Store, name: Name, change: (good: Store[Name]) => Partial<Store[Name]>): Store {
  return replaceMember(store, name, { ...store[name], ...change(store[name]) });
}

/** A store with one member replaced. */
export function replaceMember<Name extends keyof Store>(store: Store, name: Name, member: Store[Name]): Store {
  return new Proxy(store, {
    get(target, key) {
      if (key === name) return member;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The object without one field. */
export function without<Item extends object, Field extends keyof Item>(item: Item | null, field: Field): Item | null {
  if (item === null) return null;
  const { [field]: _, ...rest } = item;
  return rest as Item;
}
