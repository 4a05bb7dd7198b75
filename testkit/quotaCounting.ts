/** Counts the use of quotas from events. `cellhouse_require_quotas` counts the same from rows. */
import type { CountedKind, QuotaOwner } from '../src/domain/quota.ts';

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
export interface LiveCounts {
  readonly sessions: Iterable<Owned>;
  readonly unfinished: Iterable<Unfinished>;
  /** The executions that were accepted in the same minute as the transaction. */
  readonly accepted: Iterable<Owned>;
  /** The sessions and executions that the transaction has added. */
  readonly added: ReadonlySet<string>;
}

const MINUTE_MS = 60_000;

/** @param maxCommands how many commands of a session run at the same time */
export function createCounted(maxCommands: number) {
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
export function countOf(
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
