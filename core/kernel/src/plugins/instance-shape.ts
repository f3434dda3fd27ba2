import type { PluginInstances, PluginKind } from '@towline/contract';

/** Members that an instance of each kind must have, with their types. What is optional in the contract is not looked at. */
const SHAPES: {
  readonly [Kind in PluginKind]: Readonly<Partial<Record<keyof PluginInstances[Kind] & string, 'function' | 'object' | 'string'>>>;
} = Object.freeze({
  store: {
    devices: 'object',
    registrations: 'object',
    keys: 'object',
    secrets: 'object',
    sessions: 'object',
    audit: 'object',
    revocations: 'object',
    meta: 'object',
    export: 'function',
    import: 'function',
    ping: 'function',
  },
  audit: { write: 'function' },
  auth: { authenticate: 'function' },
  stream: { protocol: 'string', body: 'object', right: 'string', prepare: 'function' },
  transport: {},
});

/** What is wrong with that which `create` answered, or null. Compilers do not look across packages of other people. */
export function findShapeFault(kind: PluginKind, instance: unknown): string | null {
  if (typeof instance !== 'object' || instance === null) return 'its create() returned no object';
  if ('then' in instance) return 'its create() returned a promise: it must return the instance and leave I/O to start()';
  const members: Readonly<Record<string, string>> = SHAPES[kind];
  // A schema may be callable, as those of some libraries are.
  const fits = (name: string, type: string) => {
    const found = typeof (instance as Record<string, unknown>)[name];
    return found === type || (type === 'object' && found === 'function');
  };
  const missing = Object.entries(members).filter(([name, type]) => !fits(name, type));
  return missing.length === 0 ? null : `its create() returned an object without ${missing.map(([name]) => name).join(', ')}`;
}
