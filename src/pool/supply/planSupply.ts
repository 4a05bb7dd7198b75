/**
 * Decides which workers a gateway makes now: of which environments, and which idle workers make way for them. All
 * gateways use the same order of turns ({@link fairOrder}). So no gateway takes room from a user who waits at another
 * gateway and whose turn comes first. Pure.
 */
import { countByEnvironment, type WaitingPlace } from '../../domain/poolStatus.ts';
import { fairOrder, type Shares, type Turn } from './fairOrder.ts';

/** How many workers without a session one environment has. */
export interface Stock {
  readonly idle: number;
  /** Being made, by any gateway. */
  readonly starting: number;
  /** How many of the starting workers this gateway makes. */
  readonly underWay: number;
}

export interface SupplyState extends Shares {
  /** The users who wait at this gateway and are not being served at the moment. */
  readonly own: readonly WaitingPlace[];
  /** The users who wait at other gateways. */
  readonly elsewhere: readonly WaitingPlace[];
  /** By the name of the environment. Null: workers without an environment. */
  readonly stock: ReadonlyMap<string | null, Stock>;
  /** Idle workers of environments that serve no sessions any more, such as former versions. */
  readonly outdated: number;
  /** How many workers may be added now. */
  readonly room: number;
  /**
   * How many workers to keep idle, by the name of the environment, in order of priority. Empty: this gateway keeps none
   * idle.
   */
  readonly minIdle: ReadonlyMap<string | null, number>;
  /** Environments of which no worker can be made at the moment. Nothing is kept free for them. */
  readonly failing: ReadonlySet<string | null>;
}

/** The idle worker that ends to make room for another: an outdated one, or one of this environment. */
export type Eviction = 'outdated' | { readonly of: string | null };

/** A worker to be made. */
export interface Wanted {
  readonly environment: string | null;
  /** The idle worker that ends to make room for it. Null: there is room. */
  readonly evicts: Eviction | null;
}

interface SupplyPlan {
  readonly make: readonly Wanted[];
  /**
   * Whether something is left for a user of another gateway (room, or an idle worker that could make way) while a user
   * of this gateway still needs a worker.
   */
  readonly isLeft: boolean;
}

export function planSupply(state: SupplyState): SupplyPlan {
  const here = new Set(state.own.map(({ user }) => user));
  const others = state.elsewhere.filter(({ user }) => !here.has(user));
  const free = createFree(state, [...state.own, ...others]);
  const waited = forWaiting(state, others, free);
  const make = [...waited.make];
  for (const [environment, minimum] of state.minIdle) {
    if (state.failing.has(environment)) continue;
    const { idle, starting } = state.stock.get(environment) ?? NONE;
    const waiting = state.own.filter((place) => place.environment === environment).length;
    const made = waited.make.filter((wanted) => wanted.environment === environment).length;
    for (let missing = minimum + waiting - idle - starting - made; missing > 0; missing -= 1)
      if (free.takeRoom()) make.push({ environment, evicts: null });
  }
  return { make, isLeft: waited.isLeft };
}

const NONE: Stock = { idle: 0, starting: 0, underWay: 0 };

/** Hands out the room, and the idle workers that nobody waits for. */
function createFree(state: SupplyState, waiting: readonly WaitingPlace[]) {
  const wanted = countByEnvironment(waiting);
  let { room, outdated } = state;
  const spare = new Map<string | null, number>();
  /** By environment, the number of waiting users minus the number of workers that are idle or being made. */
  const unmade = new Map<string | null, number>();
  for (const [environment, count] of wanted) {
    const { idle, starting } = state.stock.get(environment) ?? NONE;
    unmade.set(environment, count - idle - starting);
  }
  for (const [environment, { idle }] of state.stock)
    spare.set(environment, Math.max(0, idle - (wanted.get(environment) ?? 0)));
  /** Takes outdated workers first, then a spare worker of the environment that has the most of them. */
  const takeEviction = (): Eviction | null => {
    outdated -= 1;
    if (outdated >= 0) return 'outdated';
    const [of, most] = [...spare].reduce<readonly [string | null, number]>(
      (best, each) => (each[1] > best[1] ? each : best),
      [null, 0],
    );
    spare.set(of, most - 1);
    return most > 0 ? { of } : null;
  };
  const takeRoom = () => {
    room -= 1;
    return room >= 0;
  };
  return {
    takeRoom,
    /**
     * Takes room for a worker of this environment, or else an idle worker that makes way for it. No idle worker makes
     * way if enough workers of the environment are idle or being made. Null: there is nothing to take.
     */
    take: (environment: string | null): Wanted | null => {
      const missing = unmade.get(environment) ?? 0;
      unmade.set(environment, missing - 1);
      if (takeRoom()) return { environment, evicts: null };
      const evicts = missing > 0 ? takeEviction() : null;
      return evicts && { environment, evicts };
    },
  };
}

/**
 * In the order of the turns, assigns to each waiting user an idle worker, a worker that is being made, or room for a
 * new one. This gateway makes no more workers of an environment than its own users need, whichever users get them in
 * the end. All other room is left for the gateways where the other users wait.
 */
function forWaiting(
  state: SupplyState,
  others: readonly WaitingPlace[],
  free: ReturnType<typeof createFree>,
): { readonly make: readonly Wanted[]; readonly isLeft: boolean } {
  const stock = createStock(state.stock);
  const own = new Set(state.own);
  const needed = neededHere(state);
  const make: Wanted[] = [];
  let left = 0;
  const give = (place: WaitingPlace): Turn => {
    const { environment } = place;
    if (state.failing.has(environment)) return 'passed over';
    if (stock.take(environment, own.has(place))) return 'served';
    const wanted = free.take(environment);
    if (wanted === null) return 'passed over';
    const isNeeded = needed.take(environment);
    if (isNeeded) make.push(wanted);
    else left += 1;
    return 'served';
  };
  const order = fairOrder([...state.own, ...others], state);
  for (let turn = order.next(); !turn.done; ) turn = order.next(give(turn.value));
  return { make, isLeft: left > 0 && needed.isLeft() };
}

/** The workers that are idle or being made, and that are not assigned to a waiting user yet. */
function createStock(stock: SupplyState['stock']) {
  const left = new Map(
    [...stock].map(([environment, { idle, starting, underWay }]) => [
      environment,
      { idle, own: underWay, elsewhere: starting - underWay },
    ]),
  );
  return {
    take: (environment: string | null, isOwn: boolean): boolean => {
      const rest = left.get(environment);
      if (!rest) return false;
      const from = rest.idle > 0 ? 'idle' : isOwn ? 'own' : 'elsewhere';
      rest[from] -= 1;
      return rest[from] >= 0;
    },
  };
}

/**
 * How many workers of each environment this gateway needs for its users, in addition to those that are idle or that it
 * makes already.
 */
function neededHere({ own, stock, failing }: SupplyState) {
  const needed = countByEnvironment(own);
  for (const [environment, count] of needed) {
    const { idle, underWay } = stock.get(environment) ?? NONE;
    needed.set(environment, failing.has(environment) ? 0 : count - idle - underWay);
  }
  return {
    take: (environment: string | null): boolean => {
      const count = needed.get(environment) ?? 0;
      needed.set(environment, count - 1);
      return count > 0;
    },
    isLeft: () => [...needed.values()].some((count) => count > 0),
  };
}
