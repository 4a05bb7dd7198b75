/**
 * The order in which waiting users get workers: weighted fair shares of tenants. The next worker goes to the waiting
 * tenant that has the fewest sessions for its weight, and within that tenant to the user who has waited longest. So
 * while several tenants wait, the number of sessions of each approaches its share by weight. A tenant that waits alone
 * gets every worker. No session is ended to make the shares fair.
 */
import type { WaitingPlace } from '../../domain/waitingPlace.ts';

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

/** Names decide between users who began to wait in the same millisecond, so that all gateways agree. */
function youngestFirst(a: WaitingPlace, b: WaitingPlace): number {
  if (a.since !== b.since) return b.since - a.since;
  return a.user < b.user ? 1 : -1;
}
