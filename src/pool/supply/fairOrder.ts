/**
 * The order in which waiting users get workers: weighted fair shares of tenants. The next worker goes to the waiting
 * tenant that has the fewest sessions for its weight, and within that tenant to the user who has waited longest. So
 * while several tenants wait, the number of sessions of each approaches its share by weight. A tenant that waits alone
 * gets every worker. No session is ended to make the shares fair. Idle workers are dealt in this order, too.
 */
import type { WaitingPlace } from '../../domain/poolStatus.ts';
import type { Worker } from '../../domain/worker.ts';

export interface Shares {
  /** How many sessions each tenant has. */
  readonly busy: ReadonlyMap<string, number>;
  /** The weights of tenants. A tenant without one has the weight 1. */
  readonly weights: ReadonlyMap<string, number>;
}

interface Line<T> {
  readonly weight: number;
  /** How many sessions the tenant has, including those that the turns so far would open. */
  holds: number;
  /** The users of one tenant, the longest waiting last. */
  readonly places: T[];
}

/**
 * The result of a turn. A place is passed over if it cannot get a worker of its environment now. The turn then does not
 * count as a session of its tenant.
 */
export type Turn = 'served' | 'passed over';

/**
 * Yields the places in the order of their turns. Two gateways with the same input yield the same order. The caller may
 * pass back the result of each turn. Without a result, the turn counts as served.
 */
export function* fairOrder<T extends WaitingPlace>(
  waiting: readonly T[],
  { busy, weights }: Shares,
): Generator<T, void, Turn | undefined> {
  const lines = new Map<string, Line<T>>();
  for (const place of [...waiting].sort(youngestFirst)) {
    const { tenant } = place;
    const line = lines.get(tenant) ?? {
      weight: weights.get(tenant) ?? 1,
      holds: busy.get(tenant) ?? 0,
      places: [],
    };
    line.places.push(place);
    lines.set(tenant, line);
  }
  const open = [...lines.values()];
  for (let left = waiting.length; left > 0; left -= 1) {
    const next = open.reduce((first, line) => (isBefore(line, first) ? line : first));
    const place = next.places.pop();
    const turn = place === undefined ? undefined : yield place;
    if (turn !== 'passed over') next.holds += 1;
    if (next.places.length === 0) open.splice(open.indexOf(next), 1);
  }
}

/** Whether the turn of `line` comes before that of `other`. */
function isBefore<T extends WaitingPlace>(line: Line<T>, other: Line<T>): boolean {
  const difference = line.holds * other.weight - other.holds * line.weight;
  if (difference !== 0) return difference < 0;
  const [mine, theirs] = [line.places.at(-1), other.places.at(-1)];
  return mine !== undefined && theirs !== undefined && youngestFirst(mine, theirs) > 0;
}

/** The users' hashes decide if both began to wait in the same millisecond, so that all gateways agree. */
function youngestFirst(a: WaitingPlace, b: WaitingPlace): number {
  if (a.since !== b.since) return b.since - a.since;
  return a.user < b.user ? 1 : -1;
}

/** Idle workers by the name of their environment, best first. Null: workers without an environment. */
export type IdleWorkers = ReadonlyMap<string | null, readonly Worker[]>;

interface Dealing<T extends WaitingPlace> extends Shares {
  /** The users who wait at this gateway. */
  readonly own: readonly T[];
  /** The users who wait at other gateways. Those who wait here, too, count only here. */
  readonly elsewhere: readonly WaitingPlace[];
  readonly idle: IdleWorkers;
  /** Whether this worker was left for other gateways long enough. */
  readonly isOverdue: (worker: Worker) => boolean;
}

interface Dealt<T> {
  readonly given: readonly { readonly place: T; readonly worker: Worker }[];
  /** Workers that are left for users of other gateways, though users wait here. */
  readonly left: readonly Worker[];
}

/**
 * Gives the idle workers of each environment to the users of this gateway whose turns come first. The other workers are
 * left for users of other gateways whose turns have come. A worker that is overdue goes to the next user of this
 * gateway who waits for its environment. No worker goes to a user of another environment.
 */
export function dealWorkers<T extends WaitingPlace>(dealing: Dealing<T>): Dealt<T> {
  const { own, idle, isOverdue } = dealing;
  const inTurn = turnsOf(dealing);
  const given: { place: T; worker: Worker }[] = [];
  const left: Worker[] = [];
  for (const [environment, workers] of idle) {
    const mine = own.filter((place) => place.environment === environment);
    const first = inTurn.filter((place) => place.environment === environment);
    const rest = fairOrder(
      mine.filter((place) => !first.includes(place)),
      dealing,
    );
    let waits = mine.length;
    for (const [index, worker] of workers.entries()) {
      const place = first[index] ?? (isOverdue(worker) ? rest.next().value : undefined);
      if (place) given.push({ place, worker });
      else if (waits > 0) left.push(worker);
      if (place) waits -= 1;
    }
  }
  return { given, left };
}

/** The users of this gateway whose turn comes before the idle workers run out, in the order of their turns. */
function turnsOf<T extends WaitingPlace>({ own, elsewhere, idle, ...shares }: Dealing<T>): T[] {
  const here = new Set(own.map(({ user }) => user));
  const others = elsewhere.filter(({ user }) => !here.has(user));
  const isOwn = (place: T | WaitingPlace): place is T => here.has(place.user);
  const rest = new Map([...idle].map(([environment, { length }]) => [environment, length]));
  let count = [...rest.values()].reduce((sum, length) => sum + length, 0);
  const turns: T[] = [];
  const order = fairOrder<T | WaitingPlace>([...own, ...others], shares);
  for (let turn = order.next(); !turn.done && count > 0; ) {
    const place = turn.value;
    const left = rest.get(place.environment) ?? 0;
    if (left > 0) {
      rest.set(place.environment, left - 1);
      count -= 1;
      if (isOwn(place)) turns.push(place);
    }
    turn = order.next(left > 0 ? 'served' : 'passed over');
  }
  return turns;
}
