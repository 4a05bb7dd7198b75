/** Reads single environment variables and remembers every problem, so that all are told at once. */

/** Everything that is wrong with the configuration, one line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration has ${problems.length} problem(s):\n- ${problems.join('\n- ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface IntegerRange {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

export interface TextRule {
  readonly fallback: string;
  readonly allowed: string;
  readonly isAllowed: (text: string) => boolean;
  /** For secrets: how the value is shown in a problem. */
  readonly show?: (text: string) => string;
}

export interface ConfigReader {
  /** The value, or the fallback if it is unset, empty or wrong (which is a problem then). */
  integer(name: string, range: IntegerRange): number;
  text(name: string, rule: TextRule): string;
  /** The same without a default: null if unset or empty. */
  optionalText(name: string, rule: Omit<TextRule, 'fallback'>): string | null;
  /** Adds a problem unless `isFine`; passed over if one of `names` is wrong by itself already. */
  check(names: readonly string[], isFine: boolean, problem: string): void;
  readonly problems: readonly string[];
}

/** An empty variable counts as unset: that is what compose files make of a missing one. */
export function createConfigReader(
  env: Readonly<Record<string, string | undefined>>,
): ConfigReader {
  const problems: string[] = [];
  const wrong = new Set<string>();

  function complain(name: string, shown: string, allowed: string): void {
    wrong.add(name);
    problems.push(`${name} is ${shown}, but must be ${allowed}.`);
  }

  function integer(name: string, { fallback, min, max }: IntegerRange): number {
    const text = env[name];
    if (!text) return fallback;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    complain(name, quote(text), `a whole number from ${min} to ${max} (default ${fallback})`);
    return fallback;
  }

  function optionalText(name: string, rule: Omit<TextRule, 'fallback'>): string | null {
    const text = env[name];
    if (!text) return null;
    if (rule.isAllowed(text)) return text;
    complain(name, (rule.show ?? quote)(text), rule.allowed);
    return null;
  }

  return {
    problems,
    integer,
    optionalText,
    text: (name, rule) => optionalText(name, rule) ?? rule.fallback,
    check(names, isFine, problem) {
      if (!isFine && !names.some((name) => wrong.has(name))) problems.push(problem);
    },
  };
}

/** Long values are cut: a problem is one line. */
function quote(text: string): string {
  const shownCharacters = 80;
  return JSON.stringify(
    text.length > shownCharacters ? `${text.slice(0, shownCharacters)}...` : text,
  );
}
