import { TowlineError } from '@towline/protocol';

/** What a field of an answer must be. A nested shape stands for an object; `null` may come where a shape is nullable. */
export type Kind = 'text' | 'number' | 'flag' | 'texts' | 'any' | Shape | NullableKind;
/** Fields that an answer must have; others are left alone. */
export type Shape = { readonly [field: string]: Kind };
/** See {@link nullable}. */
export interface NullableKind {
  readonly orNull: Kind;
}

/** A field that may be null or absent. */
export function nullable(kind: Kind): NullableKind {
  return { orNull: kind };
}

/**
 * Checks an answer of the relay for the fields that will be printed.
 * @throws TowlineError `protocol_error` that names the field.
 */
export function checkAnswer<View>(value: unknown, shape: Shape): View {
  checkObject(value, shape, 'the answer');
  return value as View;
}

function checkObject(value: unknown, shape: Shape, where: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'an object');
  for (const [field, kind] of Object.entries(shape)) checkField((value as Record<string, unknown>)[field], kind, `\`${field}\``);
}

function checkField(value: unknown, kind: Kind, where: string): void {
  if (typeof kind === 'object') return checkNested(value, kind, where);
  if (!SIMPLE[kind](value)) throw wrong(where, NAMES[kind]);
}

function checkNested(value: unknown, kind: Shape | NullableKind, where: string): void {
  if (!isNullable(kind)) return checkObject(value, kind, where);
  if (value !== null && value !== undefined) checkField(value, kind.orNull, where);
}

function isNullable(kind: Shape | NullableKind): kind is NullableKind {
  return 'orNull' in kind;
}

type SimpleKind = Extract<Kind, string>;

const SIMPLE: Readonly<Record<SimpleKind, (value: unknown) => boolean>> = Object.freeze({
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  flag: (value) => typeof value === 'boolean',
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  any: () => true,
});

const NAMES: Readonly<Record<SimpleKind, string>> = Object.freeze({
  text: 'a text',
  number: 'a number',
  flag: 'true or false',
  texts: 'a list of texts',
  any: 'anything',
});

function wrong(where: string, expected: string): TowlineError {
  return new TowlineError('protocol_error', `The relay sent an answer that is not valid: ${where} is not ${expected}.`, {
    hint: 'Check that relay and command line are of versions that fit.',
  });
}
