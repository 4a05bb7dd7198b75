/** Reads settings from the environment, and collects all problems, so that they are reported together. */
import type { Setting, Surroundings } from './setting.ts';

/** The error for a wrong configuration. It has one line for each problem. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration has ${problems.length} problem(s):\n- ${problems.join('\n- ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of settings, by the same keys. */
export type ValuesOf<Of extends Settings> = {
  readonly [Key in keyof Of]: Of[Key] extends Setting<infer Value> ? Value : never;
};

export interface Reading<Of extends Settings> {
  /** For a wrong variable, this has the value of an unset one. */
  readonly values: ValuesOf<Of>;
  readonly problems: readonly string[];
  /** Names of the variables whose own value is wrong, whatever the others are. */
  readonly wrong: ReadonlySet<string>;
}

/** An empty variable counts as unset, because compose files turn missing variables into empty ones. */
export function readSettings<Of extends Settings>(
  settings: Of,
  surroundings: Surroundings,
): Reading<Of> {
  const problems: string[] = [];
  const wrong = new Set<string>();

  function read(setting: Setting<unknown>): unknown {
    const { name, allowed } = setting;
    const text = surroundings.env[name];
    const value = text ? setting.parse(text) : setting.unset(surroundings);
    const problem =
      text && value === undefined
        ? `${name} is ${setting.show(text)}, but must be ${allowed}.`
        : setting.problemOf(value, surroundings);
    if (problem === null) return value;
    wrong.add(name);
    problems.push(problem);
    return setting.unset(surroundings);
  }

  const values = Object.entries(settings).map(([key, setting]) => [key, read(setting)]);
  return { values: Object.fromEntries(values) as ValuesOf<Of>, problems, wrong };
}
