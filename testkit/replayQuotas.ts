/** Replays events in the order of their positions, and finds every count that was raised above its limit. */
import { type CountedKind, type QuotaOwner, quotaOwnerKey } from '../src/domain/quota.ts';

/** A limit that is watched. */
export interface ReplayedLimit extends QuotaOwner {
  readonly kind: CountedKind;
  /** The limit in the settings. It holds until an event sets another limit, and after a reset. Null: no limit. */
  readonly limit: number | null;
}

interface ReplayOptions {
  /** How many commands of a session run at the same time. */
  readonly maxCommands: number;
  /**
   * Returns a time. The gateway that recorded the event knew every limit that was set before this time. By default, it
   * is the time of the event.
   */
  readonly knownUntil?: (event: ReplayedEvent) => Date;
}

/** A count that was raised above every limit that its gateway may have known. */
interface Exceeded extends QuotaOwner {
  readonly kind: CountedKind;
  readonly position: number;
  readonly count: number;
  readonly allowed: number;
}

interface Replayed {
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

// Counts the use of quotas from events. `cellhouse_require_quotas` counts the same from rows.

/** An event, with the transaction that inserted it. */
export interface ReplayedEvent {
  readonly position: number;
  readonly transaction: string;
  readonly streamId: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly recordedAt: Date;
}

interface Owned {
  readonly id: string;
  readonly tenant: string;
  readonly userUuid: string;
}

interface Unfinished extends Owned {
  readonly lane: string;
  readonly places: number;
}

/** The sessions and executions that count after a transaction. */
interface LiveCounts {
  readonly sessions: Iterable<Owned>;
  readonly unfinished: Iterable<Unfinished>;
  /** The executions that were accepted in the same minute as the transaction. */
  readonly accepted: Iterable<Owned>;
  /** The sessions and executions that the transaction has added. */
  readonly added: ReadonlySet<string>;
}

const MINUTE_MS = 60_000;

/** @param maxCommands how many commands of a session run at the same time */
function createCounted(maxCommands: number) {
  const sessions = new Map<string, Owned>();
  const unfinished = new Map<string, Unfinished>();
  const minutes = new Map<number, Owned[]>();

  function add({ streamId: id, type, data, recordedAt }: ReplayedEvent): void {
    const owned = { id, tenant: String(data.tenant), userUuid: String(data.userUuid) };
    if (type === 'SessionOpened') {
      sessions.set(id, owned);
      return;
    }
    const isCommand = data.language === 'BASH';
    const lane = `${data.sessionId} ${isCommand ? 'commands' : (data.contextId ?? 'default')}`;
    unfinished.set(id, { ...owned, lane, places: isCommand ? maxCommands : 1 });
    const minute = minuteOf(recordedAt);
    const accepted = minutes.get(minute) ?? [];
    minutes.set(minute, accepted);
    accepted.push(owned);
  }

  return {
    /** Applies the events of one transaction, which are in the order of their positions. */
    apply: (group: readonly ReplayedEvent[]): LiveCounts => {
      const added = new Set<string>();
      for (const event of group) {
        const { streamId, type } = event;
        if (type === 'SessionClosed') sessions.delete(streamId);
        if (type === 'ExecutionFinished') unfinished.delete(streamId);
        if (type !== 'SessionOpened' && type !== 'ExecutionRequested') continue;
        add(event);
        added.add(streamId);
      }
      const at = group.at(-1)?.recordedAt ?? new Date(0);
      return {
        sessions: sessions.values(),
        unfinished: unfinished.values(),
        accepted: minutes.get(minuteOf(at)) ?? [],
        added,
      };
    },
  };
}

/** The count of one quota after a transaction, and the same count without the transaction's additions. */
function countOf(
  { kind, tenant, userUuid }: QuotaOwner & { readonly kind: CountedKind },
  now: LiveCounts,
): { readonly before: number; readonly count: number } {
  const own = <T extends Owned>(all: Iterable<T>) =>
    [...all].filter(
      (each) => each.tenant === tenant && (userUuid === null || each.userUuid === userUuid),
    );
  const isOld = ({ id }: Owned) => !now.added.has(id);
  if (kind === 'OPEN_SESSIONS' || kind === 'EXECUTIONS_PER_MINUTE') {
    const all = own(kind === 'OPEN_SESSIONS' ? now.sessions : now.accepted);
    return { before: all.filter(isOld).length, count: all.length };
  }
  const all = own(now.unfinished);
  const [old, present] = [lanesOf(all.filter(isOld)), lanesOf(all)];
  return kind === 'RUNNING_EXECUTIONS'
    ? { before: old.running, count: present.running }
    : { before: old.queued, count: present.queued };
}

/** A lane runs as many executions as it has places. The others are queued. */
function lanesOf(unfinished: readonly Unfinished[]) {
  const lanes = new Map<string, { count: number; places: number }>();
  for (const { lane, places } of unfinished)
    lanes.set(lane, { count: (lanes.get(lane)?.count ?? 0) + 1, places });
  const running = [...lanes.values()].reduce(
    (sum, { count, places }) => sum + Math.min(count, places),
    0,
  );
  return { running, queued: unfinished.length - running };
}

function minuteOf(at: Date): number {
  return Math.floor(at.getTime() / MINUTE_MS);
}
