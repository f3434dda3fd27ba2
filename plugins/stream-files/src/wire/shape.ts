// Checks of what a peer sent. They answer the value as it is used, or throw. A copy of many files takes thousands of frames a second: a general
// validator takes several times as long as everything else that is done with a frame, and longer to be loaded than the rest of the program.

/** Checks one value. `name` is for the text. @throws Mismatch. */
export type Check<Value> = (value: unknown, name: string) => Value;

/** The value that a check answers. */
export type Checked<Of> = Of extends Check<infer Value> ? Value : never;

/** What is wrong with a value. */
export class Mismatch extends Error {
  constructor(name: string, expected: string) {
    super(`${name}: expected ${expected}`);
    this.name = 'Mismatch';
  }
}

/** An integer from `least` to `most`. */
export function integer(least: number, most: number): Check<number> {
  return (value, name) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new Mismatch(name, `an integer from ${least} to ${most}`);
  };
}

/** A number, with a fraction perhaps, no farther from 0 than `most`. */
export function numberWithin(most: number): Check<number> {
  return (value, name) => {
    if (typeof value === 'number' && Math.abs(value) <= most) return value;
    throw new Mismatch(name, `a number from -${most} to ${most}`);
  };
}

/** Yes or no. */
export const boolean: Check<boolean> = (value, name) => {
  if (typeof value === 'boolean') return value;
  throw new Mismatch(name, 'true or false');
};

/** One of some words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Check<Word> {
  return (value, name) => {
    const word = words.find((each) => each === value);
    if (word !== undefined) return word;
    throw new Mismatch(name, words.join(' or '));
  };
}

/** Text of a form. */
export function text(form: RegExp, expected: string): Check<string> {
  return (value, name) => {
    if (typeof value === 'string' && form.test(value)) return value;
    throw new Mismatch(name, expected);
  };
}

/** Bytes as text, one character for each: names are bytes, and JSON has none. */
export function bytesText(most: number): Check<Buffer> {
  return (value, name) => {
    if (typeof value === 'string' && value.length <= most && BYTES.test(value)) return Buffer.from(value, 'latin1');
    throw new Mismatch(name, `at most ${most} bytes, a character each`);
  };
}

const BYTES = /^[\0-\xff]*$/;

/** A list of so many values at most. */
export function listOf<Value>(check: Check<Value>, most: number): Check<readonly Value[]> {
  return (value, name) => {
    if (!Array.isArray(value) || value.length > most) throw new Mismatch(name, `a list of ${most} at most`);
    return value.map((each) => check(each, name));
  };
}

type Checks = Readonly<Record<string, Check<unknown>>>;
type Objects<Needed extends Checks, Optional extends Checks> = { readonly [Key in keyof Needed]: Checked<Needed[Key]> } & {
  readonly [Key in keyof Optional]?: Checked<Optional[Key]>;
};

/** An object with these fields, some of which may be missing. Whatever else it has is left out. */
export function object<const Needed extends Checks, const Optional extends Checks = Record<never, never>>(
  needed: Needed,
  optional?: Optional,
): Check<Objects<Needed, Optional>> {
  const [fields, others] = [Object.entries(needed), Object.entries(optional ?? {})];
  return (value, name) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Mismatch(name, 'an object');
    const given = value as Readonly<Record<string, unknown>>;
    const checked: Record<string, unknown> = {};
    for (const [key, check] of fields) checked[key] = check(given[key], key);
    for (const [key, check] of others) if (given[key] !== undefined) checked[key] = check(given[key], key);
    return checked as Objects<Needed, Optional>;
  };
}

/** One of several objects, which have their kind in `kind`. */
export function ofKind<Kinds extends Readonly<Record<string, Check<unknown>>>>(kinds: Kinds): Check<Checked<Kinds[keyof Kinds]>> {
  const known = new Map(Object.entries(kinds));
  return (value, name) => {
    const kind = (value as { readonly kind?: unknown } | null | undefined)?.kind;
    const check = typeof kind === 'string' ? known.get(kind) : undefined;
    if (check === undefined) throw new Mismatch(name, `kind ${[...known.keys()].join(' or ')}`);
    return check(value, name) as Checked<Kinds[keyof Kinds]>;
  };
}
