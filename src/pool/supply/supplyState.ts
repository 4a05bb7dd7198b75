/** Reads the state that `planSupply` needs, and the ids of the environments in it. */
import type { EnvironmentId } from '../../domain/ids.ts';
import type { WaitingPlace } from '../../domain/poolStatus.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import type { EnvironmentCounts, PoolCounts } from '../../events/queries/workerQueries.ts';
import type { Shares } from './fairOrder.ts';
import type { Eviction, Stock, SupplyState } from './planSupply.ts';

/** An environment is in use while it has sessions, and for this long after it was last asked for. */
const IN_USE_MS = 3_600_000;

export interface SupplyStateDeps {
  readonly counts: () => Promise<PoolCounts>;
  /** The users who wait here and are not being served at the moment. */
  readonly waiting: () => readonly WaitingPlace[];
  /** The users who wait at other gateways. */
  readonly elsewhere: () => Promise<readonly WaitingPlace[]>;
  readonly busy: () => Promise<Shares['busy']>;
  readonly tenantWeights: Shares['weights'];
  /** The serving version of each environment, by name. Mostly from memory. */
  readonly serving: () => Promise<Serving>;
  /** The names of environments that were asked for at `since` or later, the most recent first. */
  readonly environmentsAskedSince: (since: Date) => Promise<readonly string[]>;
  readonly minIdleWorkers: number;
  readonly minIdleEnvironmentWorkers: number;
  readonly maxTotalWorkers: number;
  /** Whether this gateway is the keeper now. */
  readonly isKeeper: () => boolean;
  readonly now: () => Date;
}

/** The version of each environment that serves new sessions, by name. */
type Serving = ReadonlyMap<string, ServingEnvironment>;

export interface KnownSupply {
  readonly state: Omit<SupplyState, 'failing'>;
  readonly serving: Serving;
  /** The environments whose idle workers can make way. */
  readonly idsOf: (evicts: Eviction) => readonly (EnvironmentId | null)[];
  /** Environments whose idle workers serve nobody. Empty on a gateway that is not the keeper. */
  readonly useless: readonly EnvironmentId[];
}

/** @param underWay how many workers of each environment this gateway is making */
export async function readSupply(
  deps: SupplyStateDeps,
  underWay: ReadonlyMap<string | null, number>,
): Promise<KnownSupply> {
  const [{ of: counts, ...total }, serving] = await Promise.all([deps.counts(), deps.serving()]);
  const own = deps.waiting();
  const isKeeper = deps.isKeeper();
  const elsewhere = own.length > 0 || isKeeper ? await deps.elsewhere() : [];
  const room = deps.maxTotalWorkers - total.starting - total.idle - total.assigned;
  const minIdle = isKeeper ? await minimums(deps, counts, serving) : new Map();
  const outdated = counts.filter((each) => !isServing(each, serving));
  const waited = new Set([...own, ...elsewhere].map(({ environment }) => environment));
  const isUnused = ({ name }: EnvironmentCounts) => !minIdle.has(name) && !waited.has(name);
  const useless = counts.filter((each) => outdated.includes(each) || isUnused(each));
  const mustCompare = own.length + elsewhere.length > room && tenantsOf(own, elsewhere) > 1;
  return {
    state: {
      own,
      elsewhere,
      stock: stockOf(counts, serving, underWay),
      outdated: outdated.reduce((sum, { idle }) => sum + idle, 0),
      room,
      minIdle,
      busy: mustCompare ? await deps.busy() : new Map(),
      weights: deps.tenantWeights,
    },
    serving,
    idsOf: (evicts) =>
      evicts === 'outdated'
        ? outdated.map(({ environmentId }) => environmentId)
        : [evicts.of === null ? null : (serving.get(evicts.of)?.id ?? null)],
    useless: isKeeper
      ? useless.flatMap(({ environmentId: id, idle }) => (id !== null && idle > 0 ? [id] : []))
      : [],
  };
}

/**
 * How many workers to keep idle: first of those without an environment, then of each environment in use, beginning with
 * the one that was asked for most recently.
 */
async function minimums(
  { environmentsAskedSince, now, ...deps }: SupplyStateDeps,
  counts: readonly EnvironmentCounts[],
  serving: Serving,
): Promise<ReadonlyMap<string | null, number>> {
  const least = new Map<string | null, number>([[null, deps.minIdleWorkers]]);
  if (serving.size === 0) return least;
  const asked = await environmentsAskedSince(new Date(now().getTime() - IN_USE_MS));
  const held = counts.flatMap(({ name, assigned }) => (assigned > 0 && name ? [name] : []));
  for (const name of [...asked, ...held])
    if (serving.has(name)) least.set(name, deps.minIdleEnvironmentWorkers);
  return least;
}

/** Whether idle workers of this environment version may serve new sessions. */
function isServing({ environmentId, name }: EnvironmentCounts, serving: Serving): boolean {
  return name === null || serving.get(name)?.id === environmentId;
}

function stockOf(
  counts: readonly EnvironmentCounts[],
  serving: Serving,
  underWay: ReadonlyMap<string | null, number>,
): Map<string | null, Stock> {
  const now = counts.filter((each) => isServing(each, serving));
  return new Map(
    now.map(({ name, idle, starting }) => [
      name,
      { idle, starting, underWay: underWay.get(name) ?? 0 },
    ]),
  );
}

function tenantsOf(...places: readonly (readonly WaitingPlace[])[]): number {
  return new Set(places.flat().map(({ tenant }) => tenant)).size;
}

// Knows which environments serve new sessions. The list is kept in memory until an event of any gateway may have
// changed it. Also records when an environment was last asked for.

/** The use of an environment is recorded at most once in this time. It is far shorter than {@link IN_USE_MS}. */
const RECORD_INTERVAL_MS = 60_000;

export interface ServingEnvironments {
  /** The serving version of each environment, by name. Read from the database only if it may have changed. */
  serving(): Promise<Serving>;
  /** Whether the environment serves new sessions. If so, it is recorded as asked for. */
  askFor(name: string): Promise<boolean>;
  /** An environment was built or removed. */
  changed(): void;
}

export function createServingEnvironments(
  queries: Pick<Queries, 'servingEnvironments' | 'recordEnvironmentUse'>,
  now: () => Date,
): ServingEnvironments {
  let known: Promise<Serving> | null = null;
  const recordedAt = new Map<string, number>();

  function serving(): Promise<Serving> {
    if (known !== null) return known;
    const reading = queries
      .servingEnvironments()
      .then((rows): Serving => new Map(rows.map((row) => [row.name, row])));
    known = reading;
    reading.catch(() => {
      if (known === reading) known = null;
    });
    return reading;
  }

  async function record(name: string): Promise<void> {
    const at = now();
    if (at.getTime() - (recordedAt.get(name) ?? 0) < RECORD_INTERVAL_MS) return;
    await queries.recordEnvironmentUse(name, at);
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
