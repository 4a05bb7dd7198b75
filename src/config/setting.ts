/** How settings are declared. A declaration has everything about its setting: name, text, default, range and parser. */
import { resolve } from 'node:path';
import { quoted } from '../domain/text.ts';

/** An environment variable with a value of type `T`. */
export interface Setting<T> {
  readonly name: string;
  /** What it does, in plain words for operators. */
  readonly text: string;
  /** The allowed values. Follows "must be" in a message. */
  readonly allowed: string;
  readonly unit: Unit | null;
  readonly range: Range | null;
  /** Whether `cellhouse config check` must not show its value, only whether it is set. */
  readonly isSecret: boolean;
  /**
   * The default, as text of the environment. Null if there is none; then {@link whenUnset} says what an unset variable
   * means.
   */
  readonly fallback: string | null;
  /** The meaning of an unset variable without a default, in words. Null if there is a default. */
  readonly whenUnset: string | null;
  /** The value of an unset variable. */
  unset(surroundings: Surroundings): T;
  /** The value of a text. Undefined if the text is not allowed. */
  parse(text: string): T | undefined;
  /** The problem of a value that could be parsed but cannot be used. Null if there is none. */
  problemOf(value: T, surroundings: Surroundings): string | null;
  /** How a message shows a text that is not allowed. */
  show(text: string): string;
}

/** The facts that a default may depend on. */
export interface Surroundings {
  readonly env: Env;
  /** The user id of the process. Undefined on platforms without user ids. */
  readonly uid: number | undefined;
}

export type Env = Readonly<Record<string, string | undefined>>;

export type Unit = 'ms' | 'bytes' | 'MiB';

/** Both ends are allowed. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The longest time that a Node timer and a GraphQL Int can represent: about 24 days. */
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

/** A setting with a default. */
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

/** A setting without a default. */
export function optional<T, U>({ unset, ...rule }: OptionalRule<T, U>): Setting<T | U> {
  return { ...PLAIN, fallback: null, ...rule, unset: () => unset };
}

interface ChoiceRule<Word> extends Declared {
  readonly words: readonly Word[];
  readonly fallback: Word & string;
  /** Replaces the list of the words. */
  readonly allowed?: string;
}

/** A setting whose value is one of a few words. */
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

/** A setting whose value is a whole number from `min` to `max`. */
export function integer({ fallback, min, max, unit, ...declared }: IntegerRule): Setting<number> {
  return {
    ...text({
      ...declared,
      fallback: String(fallback),
      allowed: `a whole number from ${min} to ${max} (default ${fallback})`,
      parse: wholeNumber({ min, max }),
    }),
    range: { min, max },
    unit: unit ?? null,
  };
}

interface OptionalIntegerRule extends Declared, Range {
  readonly whenUnset: string;
}

/** Like {@link integer}, without a default: the value is null if the variable is unset. */
export function optionalInteger({ min, max, ...declared }: OptionalIntegerRule) {
  return {
    ...optional<number, null>({
      ...declared,
      unset: null,
      allowed: `a whole number from ${min} to ${max}`,
      parse: wholeNumber({ min, max }),
    }),
    range: { min, max },
  };
}

function wholeNumber({ min, max }: Range): (given: string) => number | undefined {
  return (given) => {
    const value = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
}

/** A setting for a time: at least `min`, and at most what a timer can represent. */
export function milliseconds(rule: Omit<IntegerRule, 'max' | 'unit'>): Setting<number> {
  return integer({ ...rule, max: MAX_MS, unit: 'ms' });
}

/** A setting for a size from `min` to `max`. `max` is 1 GiB by default. */
export function bytes(rule: Omit<IntegerRule, 'max' | 'unit'> & Partial<Range>): Setting<number> {
  return integer({ max: GIB, ...rule, unit: 'bytes' });
}

/** The path, made absolute from the working directory. Undefined if it cannot be a path. */
export function absolutePath(given: string): string | undefined {
  return given.includes('\0') ? undefined : resolve(given);
}

/** A parser that accepts texts which match the pattern, and returns them unchanged. */
export function matching(pattern: RegExp): (given: string) => string | undefined {
  return (given) => (pattern.test(given) ? given : undefined);
}

/** The parsed URL. Null if it is not a URL. */
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
