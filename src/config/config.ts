/**
 * The environment, read once into one readonly, typed object. Nothing else reads `process.env`. Each setting is declared
 * once, in the file of its group; the type follows from the declarations.
 */
import { EXECUTIONS } from './executions.ts';
import { PLACES } from './places.ts';
import { QUERIES } from './queries.ts';
import { ConfigError, type Reading, readSettings, type ValuesOf } from './readSettings.ts';
import { SESSIONS } from './sessions.ts';
import type { Env } from './setting.ts';
import { SIZES } from './sizes.ts';
import { WORKERS } from './workers.ts';

export { ConfigError } from './readSettings.ts';

/** The groups, by their titles in docs/settings.md. */
export const SETTING_GROUPS = {
  'Where the gateway is, and what it works with': PLACES,
  Workers: WORKERS,
  Sessions: SESSIONS,
  Executions: EXECUTIONS,
  'Sizes and slow readers': SIZES,
  'GraphQL documents and other origins': QUERIES,
};

/** Every setting, by the field of the configuration that it gives. */
export const SETTINGS = {
  ...PLACES,
  ...WORKERS,
  ...SESSIONS,
  ...EXECUTIONS,
  ...SIZES,
  ...QUERIES,
};

export interface Config extends ValuesOf<typeof SETTINGS> {}

/** What `serve` needs beyond the other commands. */
export interface ServeConfig extends Config {
  readonly workerImage: string;
}

/**
 * The configuration in `env`.
 * @throws ConfigError with every problem, each naming the variable, its value and what is allowed
 */
export function loadConfig(env: Env, uid: number | undefined = process.getuid?.()): Config {
  const reading = readSettings(SETTINGS, { env, uid });
  const problems = problemsOf(reading);
  if (problems.length > 0) throw new ConfigError(problems);
  return reading.values;
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

/** Those of each setting, then those of two beside each other. */
function problemsOf({ values, problems, wrong }: Reading<typeof SETTINGS>): string[] {
  const all = [...problems];
  for (const [low, high] of ORDERED) {
    const [lowName, highName] = [SETTINGS[low].name, SETTINGS[high].name];
    if (values[low] <= values[high] || wrong.has(lowName) || wrong.has(highName)) continue;
    all.push(`${lowName} is ${values[low]}, but must be at most ${highName} (${values[high]}).`);
  }
  return all;
}

/** The first may not be above the second. */
const ORDERED = [
  ['minIdleWorkers', 'maxTotalWorkers'],
  ['executionTimeoutMs', 'maxExecutionTimeoutMs'],
] as const;
