/**
 * Knows which environments serve new sessions. The list is kept in memory until an event of any gateway may have
 * changed it. Also records when an environment was last asked for.
 */
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import type { Serving } from './supplyState.ts';

/**
 * The use of an environment is recorded at most once in this time. It is far shorter than the time for which a recorded
 * use keeps the environment in use.
 */
const RECORD_INTERVAL_MS = 60_000;

export interface ServingEnvironments {
  /** The serving version of each environment, by name. Read from the database only if it may have changed. */
  serving(): Promise<Serving>;
  /** Whether the environment serves new sessions. If so, it is recorded as asked for. */
  askFor(name: string): Promise<boolean>;
  /** An environment was built or removed. */
  changed(): void;
}

export interface ServingEnvironmentsDeps {
  readonly servingEnvironments: () => Promise<ServingEnvironment[]>;
  readonly recordEnvironmentUse: (name: string, at: Date) => Promise<void>;
  readonly now: () => Date;
}

export function createServingEnvironments(deps: ServingEnvironmentsDeps): ServingEnvironments {
  let known: Promise<Serving> | null = null;
  const recordedAt = new Map<string, number>();

  function serving(): Promise<Serving> {
    if (known !== null) return known;
    const reading = deps
      .servingEnvironments()
      .then((rows): Serving => new Map(rows.map((row) => [row.name, row])));
    known = reading;
    reading.catch(() => {
      if (known === reading) known = null;
    });
    return reading;
  }

  async function record(name: string): Promise<void> {
    const at = deps.now();
    if (at.getTime() - (recordedAt.get(name) ?? 0) < RECORD_INTERVAL_MS) return;
    await deps.recordEnvironmentUse(name, at);
    recordedAt.set(name, at.getTime());
  }

  return {
    serving,
    askFor: async (name) => {
      // The event of a new environment may not have arrived here yet.
      if (!(await serving()).has(name)) known = null;
      const isServing = (await serving()).has(name);
      if (isServing) await record(name);
      return isServing;
    },
    changed: () => {
      known = null;
    },
  };
}
