/**
 * Reads the settings from the environment that a command passes, into a readonly, typed object. No other code reads a
 * setting, except that src/cli/run.ts looks at LOG_LEVEL after an error. Each setting is declared once, in the file of
 * its group. The type of the object follows from the declarations.
 */
import { ACCESS } from './access.ts';
import { DOOR_SETTINGS } from './doors.ts';
import { EGRESS, egressProblems } from './egress.ts';
import { ENVIRONMENTS } from './environments.ts';
import { EXECUTIONS } from './executions.ts';
import { FILES } from './files.ts';
import { PLACES } from './places.ts';
import { QUERIES } from './queries.ts';
import { QUOTAS } from './quotas.ts';
import { SESSIONS } from './sessions.ts';
import type { Env, Setting, Surroundings } from './setting.ts';
import { SIZES } from './sizes.ts';
import { WORKERS } from './workers.ts';

/** The groups of settings, under their titles in docs/run/settings.md. */
export const SETTING_GROUPS = {
  'Where the gateway is, and what it works with': PLACES,
  'Who may call': ACCESS,
  Doors: DOOR_SETTINGS,
  Workers: WORKERS,
  Environments: ENVIRONMENTS,
  Sessions: SESSIONS,
  Executions: EXECUTIONS,
  'Sizes and slow readers': SIZES,
  Files: FILES,
  Egress: EGRESS,
  Quotas: QUOTAS,
  'GraphQL documents and other origins': QUERIES,
};

/** Every setting, by its field of the configuration. */
export const SETTINGS = {
  ...PLACES,
  ...ACCESS,
  ...DOOR_SETTINGS,
  ...WORKERS,
  ...ENVIRONMENTS,
  ...SESSIONS,
  ...EXECUTIONS,
  ...SIZES,
  ...FILES,
  ...EGRESS,
  ...QUOTAS,
  ...QUERIES,
};

export interface Config extends ValuesOf<typeof SETTINGS> {}

/** The configuration for `serve`, which also needs a worker image. */
interface ServeConfig extends Config {
  readonly workerImage: string;
}

/**
 * Reads the configuration from `env`.
 * @throws ConfigError with every problem. Each names the variable, its value, and the allowed values.
 */
export function loadConfig(env: Env, uid: number | undefined = process.getuid?.()): Config {
  const reading = readSettings(SETTINGS, { env, uid });
  const problems = problemsOf(reading);
  if (problems.length > 0) throw new ConfigError(problems);
  return reading.values;
}

/**
 * Where the data are, whatever the other settings are.
 * @throws ConfigError if DATA_DIR is wrong. A wrong LOG_LEVEL counts as unset
 */
export function loadDataPlace(
  env: Env,
  uid: number | undefined = process.getuid?.(),
): Pick<Config, 'dataDir' | 'logLevel'> {
  const { dataDir, logLevel } = SETTINGS;
  const { values, problems, wrong } = readSettings({ dataDir, logLevel }, { env, uid });
  if (wrong.has(dataDir.name)) throw new ConfigError(problems);
  return values;
}

/** {@link loadConfig} for `serve`, where WORKER_IMAGE must be set. */
export function loadServeConfig(
  env: Env,
  uid: number | undefined = process.getuid?.(),
): ServeConfig {
  const reading = readSettings(SETTINGS, { env, uid });
  const problems = problemsOf(reading);
  const { workerImage } = reading.values;
  if (workerImage === null && !reading.wrong.has('WORKER_IMAGE')) problems.push(NO_WORKER_IMAGE);
  if (problems.length > 0 || workerImage === null) throw new ConfigError(problems);
  return { ...reading.values, workerImage };
}

const NO_WORKER_IMAGE =
  'WORKER_IMAGE is not set, but must be the tag or id of the worker image (npm start builds it and sets this).';

/** The problems of single settings, then those of two settings that contradict each other. */
function problemsOf({ values, problems, wrong }: Reading<typeof SETTINGS>): string[] {
  const all = [...problems];
  for (const [low, high] of ORDERED) {
    const [lowName, highName] = [SETTINGS[low].name, SETTINGS[high].name];
    if (values[low] <= values[high] || wrong.has(lowName) || wrong.has(highName)) continue;
    all.push(`${lowName} is ${values[low]}, but must be at most ${highName} (${values[high]}).`);
  }
  if (!wrong.has('EGRESS_ALLOW')) all.push(...egressProblems(values));
  return all;
}

/** Pairs of settings whose first value must not be above the second. */
const ORDERED = [
  ['minIdleWorkers', 'maxTotalWorkers'],
  ['minIdleEnvironmentWorkers', 'maxTotalWorkers'],
  ['executionTimeoutMs', 'maxExecutionTimeoutMs'],
  ['executionTimeoutMs', 'maxCommandTimeoutMs'],
] as const;

// Reads settings from the environment, and collects all problems, so that they are reported together.

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
type ValuesOf<Of extends Settings> = {
  readonly [Key in keyof Of]: Of[Key] extends Setting<infer Value> ? Value : never;
};

interface Reading<Of extends Settings> {
  /** For a wrong variable, this has the value of an unset one. */
  readonly values: ValuesOf<Of>;
  readonly problems: readonly string[];
  /**
   * The names of the variables whose value is wrong by itself. A contradiction between two settings does not count
   * here.
   */
  readonly wrong: ReadonlySet<string>;
}

/** An empty variable counts as unset, because compose files turn missing variables into empty ones. */
function readSettings<Of extends Settings>(settings: Of, surroundings: Surroundings): Reading<Of> {
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
