/** Replays events in the order of their positions, and finds every count that was above its limit. */
import type { CountedKind } from '../src/domain/quota.ts';

/** An event, with the transaction that inserted it. */
export interface ReplayedEvent {
  readonly position: number;
  readonly transaction: string;
  readonly streamId: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly recordedAt: Date;
}

export interface ReplayedLimit {
  readonly kind: CountedKind;
  readonly tenant: string;
  /** Null: all users of the tenant together. */
  readonly userUuid: string | null;
  readonly limit: number;
}

interface Owned {
  readonly tenant: string;
  readonly userUuid: string;
}

interface Unfinished extends Owned {
  readonly lane: string;
  readonly places: number;
}

export interface Replayed {
  /** What was exceeded, in words. */
  readonly exceeded: readonly string[];
  /** The highest count of each limit, in the order of the limits. */
  readonly highest: readonly number[];
}

const MINUTE_MS = 60_000;
/** The events that raise a count. */
const ADDS: ReadonlySet<string> = new Set(['SessionOpened', 'ExecutionRequested']);

/**
 * The events of a transaction became visible together, so what it ends is gone before what it adds is there.
 * @param maxCommands how many commands of a session run at the same time
 */
export function replayQuotas(
  events: readonly ReplayedEvent[],
  limits: readonly ReplayedLimit[],
  maxCommands: number,
): Replayed {
  const sessions = new Map<string, Owned>();
  const unfinished = new Map<string, Unfinished>();
  const minutes = new Map<string, Owned[]>();
  const exceeded: string[] = [];
  const highest = limits.map(() => 0);

  function add({ streamId, type, data, recordedAt }: ReplayedEvent): void {
    const owner = { tenant: String(data.tenant), userUuid: String(data.userUuid) };
    if (type === 'SessionOpened') sessions.set(streamId, owner);
    if (type !== 'ExecutionRequested') return;
    const isCommand = data.language === 'BASH';
    const lane = `${data.sessionId} ${isCommand ? 'commands' : (data.contextId ?? 'default')}`;
    unfinished.set(streamId, { ...owner, lane, places: isCommand ? maxCommands : 1 });
    const minute = minuteOf(recordedAt);
    minutes.set(minute, [...(minutes.get(minute) ?? []), owner]);
  }

  function end({ streamId, type }: ReplayedEvent): void {
    if (type === 'SessionClosed') sessions.delete(streamId);
    if (type === 'ExecutionFinished') unfinished.delete(streamId);
  }

  for (const group of transactions(events)) {
    for (const event of group) end(event);
    for (const event of group) {
      add(event);
      if (!ADDS.has(event.type)) continue;
      for (const [index, limit] of limits.entries()) {
        const count = countOf(limit, {
          sessions: sessions.values(),
          unfinished: unfinished.values(),
          accepted: minutes.get(minuteOf(event.recordedAt)) ?? [],
        });
        highest[index] = Math.max(highest[index] ?? 0, count);
        if (count > limit.limit) {
          exceeded.push(
            `${count} ${limit.kind} of ${limit.tenant} ${limit.userUuid ?? ''} at ${event.position}, allowed ${limit.limit}`,
          );
        }
      }
    }
  }
  return { exceeded, highest };
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

function countOf(
  { kind, tenant, userUuid }: ReplayedLimit,
  now: {
    readonly sessions: Iterable<Owned>;
    readonly unfinished: Iterable<Unfinished>;
    readonly accepted: readonly Owned[];
  },
): number {
  const own = <T extends Owned>(all: Iterable<T>) =>
    [...all].filter(
      (each) => each.tenant === tenant && (userUuid === null || each.userUuid === userUuid),
    );
  if (kind === 'OPEN_SESSIONS') return own(now.sessions).length;
  if (kind === 'EXECUTIONS_PER_MINUTE') return own(now.accepted).length;
  const lanes = new Map<string, { count: number; places: number }>();
  for (const { lane, places } of own(now.unfinished))
    lanes.set(lane, { count: (lanes.get(lane)?.count ?? 0) + 1, places });
  const running = [...lanes.values()].map(({ count, places }) => Math.min(count, places));
  const total = [...lanes.values()].reduce((sum, { count }) => sum + count, 0);
  const runs = running.reduce((sum, count) => sum + count, 0);
  return kind === 'RUNNING_EXECUTIONS' ? runs : total - runs;
}

function minuteOf(at: Date): string {
  return String(Math.floor(at.getTime() / MINUTE_MS));
}
