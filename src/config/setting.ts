/** How a setting is declared: once, with all that is said of it anywhere. */
import { resolve } from 'node:path';
import { quoted } from '../domain/quoted.ts';

/** A variable of the environment, and the value of `T` that it gives. */
export interface Setting<T> {
  readonly name: string;
  /** What it does: one plain sentence for operators. */
  readonly text: string;
  /** What is allowed, after "must be". */
  readonly allowed: string;
  readonly unit: Unit | null;
  readonly range: Range | null;
  /** Of it `cellhouse config check` says only whether it is set. */
  readonly isSecret: boolean;
  /** The default, as the environment would have it; null: there is none, and {@link whenUnset} says what is then. */
  readonly fallback: string | null;
  /** What an unset variable without a default stands for, in words; null if there is a default. */
  readonly whenUnset: string | null;
  /** The value of an unset variable. */
  unset(surroundings: Surroundings): T;
  /** Undefined: not allowed. */
  parse(text: string): T | undefined;
  /** What is wrong with a value that is allowed as such; null: nothing. */
  problemOf(value: T, surroundings: Surroundings): string | null;
  /** How a value that is not allowed is shown. */
  show(text: string): string;
}

/** What a default may depend on. */
export interface Surroundings {
  readonly env: Env;
  /** Of the process; undefined where there is no such thing. */
  readonly uid: number | undefined;
}

export type Env = Readonly<Record<string, string | undefined>>;

export type Unit = 'ms' | 'bytes' | 'MiB';

/** Both ends are allowed. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The longest delay that a Node timer and a GraphQL Int can hold; about 24 days. */
const MAX_MS = 2_147_483_647;
const GIB = 1_073_741_824;

interface Declared {
  readonly name: string;
  readonly text: string;
}

interface TextRule<T> extends Declared {
  readonly fallback: string;
  readonly allowed: string;
  readonly parse: (text: string) => T | undefined;
}

/** With a default. */
export function text<T>({ fallback, parse, ...declared }: TextRule<T>): Setting<T> {
  const unset = () => {
    const value = parse(fallback);
    if (value === undefined) throw new Error(`The default of ${declared.name} is not allowed.`);
    return value;
  };
  return { ...PLAIN, ...declared, fallback, unset, parse };
}

interface OptionalRule<T, U> extends Omit<TextRule<T>, 'fallback'> {
  readonly whenUnset: string;
  readonly unset: U;
  readonly isSecret?: boolean;
  readonly show?: (text: string) => string;
}

/** Without a default. */
export function optional<T, U>({ unset, ...rule }: OptionalRule<T, U>): Setting<T | U> {
  return { ...PLAIN, fallback: null, ...rule, unset: () => unset };
}

interface ChoiceRule<Word> extends Declared {
  readonly words: readonly Word[];
  readonly fallback: Word & string;
  /** If it is not just a list of the words. */
  readonly allowed?: string;
}

/** One of a few words. */
export function choice<const Word extends string>({ words, ...declared }: ChoiceRule<Word>) {
  return text<Word>({
    allowed: `one of ${words.join(', ')}`,
    ...declared,
    parse: (given) => words.find((word) => word === given),
  });
}

interface IntegerRule extends Declared, Range {
  readonly fallback: number;
  readonly unit?: Unit;
}

/** A whole number from `min` to `max`. */
export function integer({ fallback, min, max, unit, ...declared }: IntegerRule): Setting<number> {
  return {
    ...text({
      ...declared,
      fallback: String(fallback),
      allowed: `a whole number from ${min} to ${max} (default ${fallback})`,
      parse: (given) => {
        const value = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
        return value >= min && value <= max ? value : undefined;
      },
    }),
    range: { min, max },
    unit: unit ?? null,
  };
}

/** A time of at least `min`, and at most what a timer can hold. */
export function milliseconds(rule: Omit<IntegerRule, 'max' | 'unit'>): Setting<number> {
  return integer({ ...rule, max: MAX_MS, unit: 'ms' });
}

/** A size from `min` to `max`, which is 1 GiB if it is left out. */
export function bytes(rule: Omit<IntegerRule, 'max' | 'unit'> & Partial<Range>): Setting<number> {
  return integer({ max: GIB, ...rule, unit: 'bytes' });
}

/** A path from the working directory on; undefined: no path can be so. */
export function absolutePath(given: string): string | undefined {
  return given.includes('\0') ? undefined : resolve(given);
}

/** For what is taken as it is if it looks so, else not at all. */
export function matching(pattern: RegExp): (given: string) => string | undefined {
  return (given) => (pattern.test(given) ? given : undefined);
}

/** Null: it is none. */
export function parseUrl(given: string): URL | null {
  return URL.canParse(given) ? new URL(given) : null;
}

const PLAIN = {
  unit: null,
  range: null,
  isSecret: false,
  whenUnset: null,
  problemOf: () => null,
  show: quoted,
} as const;
