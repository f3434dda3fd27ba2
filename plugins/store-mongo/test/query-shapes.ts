import { INDEXES } from '../src/schema.ts';

/** A command as the driver tells of it before it sends it. */
export interface SentCommand {
  readonly commandName: string;
  readonly command: Readonly<Record<string, unknown>>;
}

/** What a query asks for, without its values. */
export interface QueryShape {
  readonly collection: string;
  /** The ways in which an object can fulfil it, one for each branch of an `$or`: each all fields with what is wanted of them. */
  readonly ways: readonly Readonly<Record<string, Wanted>>[];
  readonly sort: readonly string[];
  /** Names it in a failure; the same for all queries of the shape. */
  readonly text: string;
}

/** `one`: a value, or one of a list. `range`: between values. `rest`: what no index helps with. */
type Wanted = 'one' | 'range' | 'rest';
type Filter = Readonly<Record<string, unknown>>;

const RANGES = new Set(['$gt', '$gte', '$lt', '$lte']);

/** The queries in a command: a write may have several, most commands have none. */
export function queriesIn({ commandName, command }: SentCommand): readonly { readonly shape: QueryShape; readonly filter: Filter }[] {
  const collection = String(command[commandName]);
  const query = (filter: unknown, sort: unknown = {}) => ({
    shape: shapeOf(collection, filter as Filter, sort instanceof Map ? [...sort.keys()] : Object.keys(sort as object)),
    filter: filter as Filter,
  });
  if (commandName === 'find') return [query(command.filter, command.sort)];
  if (commandName === 'findAndModify') return [query(command.query, command.sort)];
  if (commandName === 'update') return (command.updates as readonly { readonly q: Filter }[]).map(({ q }) => query(q));
  if (commandName === 'delete') return (command.deletes as readonly { readonly q: Filter }[]).map(({ q }) => query(q));
  if (commandName !== 'aggregate') return [];
  const [first] = command.pipeline as readonly { readonly $match?: Filter }[];
  return [query(first?.$match ?? {})];
}

/** The command as it can be explained: with its first query, and without what belongs to one connection. */
export function withoutSession({ commandName, command }: SentCommand): object {
  const kept = ['find', 'filter', 'sort', 'limit', 'findAndModify', 'query', 'update', 'remove', 'new', 'aggregate', 'pipeline', 'cursor'];
  if (commandName === 'update') return { update: command.update, updates: (command.updates as readonly object[]).slice(0, 1) };
  if (commandName === 'delete') return { delete: command.delete, deletes: (command.deletes as readonly object[]).slice(0, 1) };
  return Object.fromEntries(kept.filter((name) => name in command).map((name) => [name, command[name]]));
}

function shapeOf(collection: string, filter: Filter, sort: readonly string[]): QueryShape {
  const ways = waysOf(filter);
  const texts = ways
    .map((way) => Object.entries(way).map(([field, wanted]) => `${field}:${wanted}`))
    .map((fields) => fields.toSorted().join(' '));
  const text = `${collection} { ${[...new Set(texts)].toSorted().join(' | ')} } sorted by [${sort.join(' ')}]`;
  return { collection, ways, sort, text };
}

function waysOf(filter: Filter): readonly Readonly<Record<string, Wanted>>[] {
  let ways: readonly Readonly<Record<string, Wanted>>[] = [{}];
  for (const [field, wanted] of Object.entries(filter)) {
    if (field === '$and') for (const part of wanted as readonly Filter[]) ways = crossed(ways, waysOf(part));
    else if (field === '$or') ways = crossed(ways, (wanted as readonly Filter[]).flatMap(waysOf));
    else if (field.startsWith('$')) throw new Error(`the test does not know ${field}`);
    else ways = crossed(ways, [{ [field]: wantedOf(wanted) }]);
  }
  return ways;
}

function crossed<Way extends object>(ways: readonly Way[], more: readonly Way[]): readonly Way[] {
  return ways.flatMap((way) => more.map((other) => ({ ...other, ...way })));
}

function wantedOf(value: unknown): Wanted {
  if (typeof value !== 'object' || value === null) return 'one';
  const operators = Object.keys(value);
  if (operators.every((operator) => operator === '$eq' || operator === '$in')) return 'one';
  return operators.every((operator) => RANGES.has(operator)) ? 'range' : 'rest';
}

/** Whether declared indexes find all that the shape asks for: no way to it looks at objects that have nothing to do with it. */
export function isServed({ collection, ways, sort }: QueryShape): boolean {
  const declared = (INDEXES as Readonly<Record<string, readonly (readonly string[])[]>>)[collection] ?? [];
  return ways.every((way) => [['_id'], ...declared].some((fields) => serves(fields, way, sort)));
}

/**
 * One object by its id needs no order. Else an index begins with a field that is asked for, and what it finds comes in the order
 * that is wanted: by the fields behind those of which single values are wanted.
 */
function serves(fields: readonly string[], way: Readonly<Record<string, Wanted>>, sort: readonly string[]): boolean {
  const [first] = fields as readonly [string];
  const wanted = way[first];
  if (wanted === undefined || wanted === 'rest') return false;
  if (sort.length === 0 || way._id === 'one') return true;
  const from = fields.findIndex((field) => way[field] !== 'one');
  const behind = from === -1 ? [] : fields.slice(from);
  return sort.filter((field) => way[field] !== 'one').every((field, place) => behind[place] === field);
}
