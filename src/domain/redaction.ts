/**
 * What is left of an event or a row when its user or tenant is forgotten. For each field, a table says its fate
 * (`redactedEvents.ts`, `redactedStates.ts`). The compiler refuses a field without one, and what is found beside the
 * table goes.
 */

/** The names under which a stream goes on. */
export interface Names {
  /** Of the tenant. It is the present one if only a user is forgotten. */
  readonly tenant: string;
  /** Of the user. Null if the stream is of no single user. */
  readonly userUuid: string | null;
  /** Of the stream. It is another one only where the present one follows from the user. */
  readonly id: string;
}

/** What becomes of a field of `T`. */
type Fate<T, Field extends keyof T> =
  /** It says nothing about the user, or the audit needs it: ids, times, sizes, how something ended. */
  | 'stays'
  /** It is replaced by one of the names. */
  | keyof Names
  | { readonly becomes: T[Field] }
  | { readonly keeps: (value: Exclude<T[Field], null | undefined>) => T[Field] }
  /** It is left out. Only an optional field can be. */
  | (Record<never, never> extends Pick<T, Field> ? 'goes' : never);

/** The fate of each field. */
export type Fates<T> = { readonly [Field in keyof T]-?: Fate<T, Field> };

type AnyFate =
  | 'stays'
  | 'goes'
  | keyof Names
  | { readonly becomes: unknown }
  | { readonly keeps: (value: never) => unknown };

type Fields = Readonly<Record<string, unknown>>;

/** `fields` as the table has it. Fields that are not there, such as those of later versions, are not added. Pure. */
export function redacted(table: object, fields: Fields, names: Names): Record<string, unknown> {
  const fates = table as Readonly<Record<string, AnyFate>>;
  return Object.fromEntries(
    Object.entries(fields).flatMap(([field, value]) => {
      const fate = Object.hasOwn(fates, field) ? fates[field] : 'goes';
      return fate === undefined || fate === 'goes' ? [] : [[field, after(fate, value, names)]];
    }),
  );
}

function after(fate: Exclude<AnyFate, 'goes'>, value: unknown, names: Names): unknown {
  if (fate === 'stays') return value;
  if (typeof fate === 'string') return value === null ? null : names[fate];
  if ('becomes' in fate) return fate.becomes;
  return value === null ? null : fate.keeps(value as never);
}
