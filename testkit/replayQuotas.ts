/** Replays events in the order of their positions, and finds every count that was raised above its limit. */
import { type CountedKind, type QuotaOwner, quotaOwnerKey } from '../src/domain/quota.ts';
import { countOf, createCounted, type LiveCounts, type ReplayedEvent } from './quotaCounting.ts';

/** A limit that is watched. */
export interface ReplayedLimit extends QuotaOwner {
  readonly kind: CountedKind;
  /** The limit in the settings. It holds until an event sets another limit, and after a reset. Null: no limit. */
  readonly limit: number | null;
}

export interface ReplayOptions {
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  /**
   * Returns a time. The gateway that recorded the event knew every limit that was set before this time. By default, it
   * is the time of the event.
   */
  readonly knownUntil?: (event: ReplayedEvent) => Date;
}

/** A count that was raised above every limit that its gateway may have known. */
export interface Exceeded extends QuotaOwner {
  readonly kind: CountedKind;
  readonly position: number;
  readonly count: number;
  readonly allowed: number;
}

export interface Replayed {
  readonly exceeded: readonly Exceeded[];
  /** The highest count of each limit, in the order of the limits. */
  readonly highest: readonly number[];
  /** How many sessions and executions were added. */
  readonly added: number;
  /** How many of these were added while their gateway may not have known the latest limit of their owner. */
  readonly unsure: number;
}

/**
 * The events of one transaction became visible together, so they are checked as one group. A group exceeds a limit if
 * it raises the count, and the count is above the limit after the whole group.
 */
export function replayQuotas(
  events: readonly ReplayedEvent[],
  limits: readonly ReplayedLimit[],
  { maxCommands, knownUntil = ({ recordedAt }) => recordedAt }: ReplayOptions,
): Replayed {
  const counted = createCounted(maxCommands);
  const watched = limits.map((limit) => ({ ...limit, ...createLimit(limit) }));
  const highest = limits.map(() => 0);
  const exceeded: Exceeded[] = [];
  let [added, unsure] = [0, 0];

  function check(last: ReplayedEvent, now: LiveCounts): void {
    const since = knownUntil(last);
    let isUnsure = false;
    for (const [index, { kind, tenant, userUuid, possible }] of watched.entries()) {
      const of = { kind, tenant, userUuid };
      const { before, count } = countOf(of, now);
      highest[index] = Math.max(highest[index] ?? 0, count);
      if (count <= before) continue;
      const allowed = possible(since);
      isUnsure ||= allowed.length > 1;
      const most = Math.max(...allowed);
      if (count > most) exceeded.push({ ...of, position: last.position, count, allowed: most });
    }
    if (isUnsure) unsure += now.added.size;
  }

  for (const group of transactions(events)) {
    const now = counted.apply(group);
    const last = group.at(-1);
    added += now.added.size;
    if (last && now.added.size > 0) check(last, now);
    // A limit that this transaction sets applies only to later transactions.
    for (const event of group) {
      if (event.type !== 'QuotaSet' && event.type !== 'QuotaReset') continue;
      const key = keyOf(event.data as unknown as ReplayedLimit);
      for (const limit of watched) if (keyOf(limit) === key) limit.set(event);
    }
  }
  return { exceeded, highest, added, unsure };
}

/** The history of one limit. */
function createLimit({ limit }: ReplayedLimit) {
  const setting = limit ?? Number.POSITIVE_INFINITY;
  let current = setting;
  const former: { readonly limit: number; readonly until: Date }[] = [];
  return {
    set: ({ type, data, recordedAt }: ReplayedEvent) => {
      former.push({ limit: current, until: recordedAt });
      const set = (data.limit as number | null) ?? Number.POSITIVE_INFINITY;
      current = type === 'QuotaReset' ? setting : set;
    },
    /** A gateway that knows at least all changes before this time may apply any of these limits. */
    possible: (since: Date) => [
      current,
      ...former.flatMap((each) => (each.until > since ? [each.limit] : [])),
    ],
  };
}

function keyOf({ kind, ...owner }: ReplayedLimit): string {
  return `${kind} ${quotaOwnerKey(owner)}`;
}

function* transactions(events: readonly ReplayedEvent[]): Generator<readonly ReplayedEvent[]> {
  let group: ReplayedEvent[] = [];
  for (const event of events) {
    if (group[0] && group[0].transaction !== event.transaction) {
      yield group;
      group = [];
    }
    group.push(event);
  }
  if (group.length > 0) yield group;
}
