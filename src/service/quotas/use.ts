/** What counts as used: today's CPU time and output, and the stored bytes. All three are sums of numbers in events. */
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import {
  type Limits,
  type Quota,
  type QuotaOwner,
  type QuotaScope,
  quotaOwnerKey,
  type UsageKind,
} from '../../domain/quota.ts';
import type { DayUse, StoredUse } from '../../events/queries/countQueries.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { followFeed } from '../../events/wakeUps/eventNews.ts';

type Use = Readonly<Record<UsageKind, number>>;

const NOTHING: Use = { CPU_SECONDS_PER_DAY: 0, OUTPUT_BYTES_PER_DAY: 0 };
const MS_PER_SECOND = 1_000;

/**
 * The CPU time and the output that were used today, kept in memory. They are summed up from the ends of executions at
 * all gateways, so they are exact up to the last event received. A day is a day in UTC, by the clock of the database. A
 * gateway whose clock is ahead ends the day earlier, but only for its own calls.
 *
 * If the session was released or the worker was lost, the CPU time of an execution is unknown. Then the execution
 * counts as if it had used all CPUs while it ran. Otherwise a release right before its end would make the execution
 * free. At most its time limit is counted, however late the loss was noticed.
 */
interface DailyUse {
  usedBy(owner: QuotaOwner, now: Date): Use;
  apply(event: RecordedEvent): void;
  /** Reads today's use. Until this has resolved, nothing counts as used. */
  load(): Promise<void>;
}

/** @param cpus how many CPUs a worker may use */
export function createDailyUse(queries: Pick<Queries, 'dayUse'>, cpus: number): DailyUse {
  let known: KnownUse | null = null;
  const feed = followFeed((event) => known?.apply(event));
  return {
    usedBy: (owner, now) => known?.usedBy(owner, now) ?? NOTHING,
    apply: feed.apply,
    load: () =>
      feed.read(
        () => queries.dayUse(cpus),
        (read) => {
          known = createKnownUse(read, cpus);
        },
      ),
  };
}

type KnownUse = Pick<DailyUse, 'usedBy' | 'apply'>;

function createKnownUse(read: DayUse, cpus: number): KnownUse {
  /** The owner and the time limit of each unfinished execution, by stream id. */
  const unfinished = new Map<string, Omit<DayUse['unfinished'][number], 'id'>>();
  const used = new Map<string, Use>();
  let day = '';
  for (const { id, ...of } of read.unfinished) unfinished.set(id, of);
  for (const { tenant, userUuid, ...use } of read.uses)
    add({ tenant, userUuid }, read.day, useOf(use));

  function add({ tenant, userUuid }: QuotaOwner, at: Date, use: Use): void {
    const on = dayOf(at);
    if (on < day) return;
    if (on > day) {
      // Nobody asks for a day that is over.
      used.clear();
      day = on;
    }
    for (const owner of [
      { tenant, userUuid },
      { tenant, userUuid: null },
    ]) {
      const key = quotaOwnerKey(owner);
      used.set(key, sum(used.get(key) ?? NOTHING, use));
    }
  }

  return {
    // `now` may be before `day`, because the clock of this gateway may be behind that of the database.
    usedBy: (owner, now) =>
      dayOf(now) <= day ? (used.get(quotaOwnerKey(owner)) ?? NOTHING) : NOTHING,
    apply: ({ event, streamId, position, recordedAt }) => {
      if (position <= read.position) return;
      if (event.type === 'ExecutionRequested') {
        // Only these fields are kept, because the code may be large.
        const { tenant, userUuid, timeoutMs } = event.data;
        unfinished.set(streamId, { tenant, userUuid, timeoutMs });
      }
      if (event.type !== 'ExecutionFinished') return;
      const of = unfinished.get(streamId);
      if (of === undefined) return;
      unfinished.delete(streamId);
      const { cpuMs, runMs, outputBytes } = event.data;
      const most = cpuMs ?? Math.min(runMs ?? 0, of.timeoutMs) * cpus;
      add(of, recordedAt, useOf({ cpuMs: most, outputBytes }));
    },
  };
}

function useOf({ cpuMs, outputBytes }: Pick<Execution, 'cpuMs' | 'outputBytes'>): Use {
  return {
    CPU_SECONDS_PER_DAY: (cpuMs ?? 0) / MS_PER_SECOND,
    OUTPUT_BYTES_PER_DAY: outputBytes,
  };
}

function sum(one: Use, other: Use): Use {
  return {
    CPU_SECONDS_PER_DAY: one.CPU_SECONDS_PER_DAY + other.CPU_SECONDS_PER_DAY,
    OUTPUT_BYTES_PER_DAY: one.OUTPUT_BYTES_PER_DAY + other.OUTPUT_BYTES_PER_DAY,
  };
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/**
 * The bytes that the records of executions take, summed up in memory. Code counts from its acceptance, input from when
 * it is recorded, and output from the end of its execution, until they are pruned or forgotten. The sums follow the
 * events of all gateways, so they are exact up to the last event received. They include all of the history, which takes
 * long to read. So nothing is read or kept before the first call needs it.
 */
interface StoredBytes {
  /** Bytes of code, input and output. The first call waits until the history has been read. */
  usedBy(owner: QuotaOwner): Promise<number>;
  /** Begins to read the history unless it has been read, so that the first call of `usedBy` waits less. */
  prepare(): void;
  apply(event: RecordedEvent): void;
}

/** The stored bytes of each owner, up to an event. */
interface Stored {
  /** The position of the last event that the read included. */
  readonly readAt: number;
  usedBy(owner: QuotaOwner): number;
  apply(event: RecordedEvent): void;
}

export function createStoredBytes(queries: Pick<Queries, 'storedUse' | 'storedOf'>): StoredBytes {
  let known: Stored | null = null;
  /** The position of the last removal that has freed an unknown number of bytes. */
  let lostAt = 0;
  let reading: Promise<void> | null = null;
  const feed = followFeed((event) => known?.apply(event));

  function read(): Promise<void> {
    reading ??= feed
      .read(queries.storedUse, (use) => {
        known = createStored(use, queries.storedOf, onLost);
      })
      .finally(() => {
        reading = null;
      });
    return reading;
  }

  const isStale = () => known !== null && known.readAt < lostAt;

  /** Reads again until the sums are not stale. A failure is ignored, because the next call reads again. */
  function refresh(): void {
    read().then(
      () => isStale() && refresh(),
      () => undefined,
    );
  }

  /** Until the next read, the sums may be too high, but never too low. */
  function onLost(position: number): void {
    lostAt = Math.max(lostAt, position);
    refresh();
  }

  return {
    usedBy: async (owner) => {
      if (known === null) await read();
      else if (isStale()) refresh();
      return known?.usedBy(owner) ?? 0;
    },
    prepare: () => {
      if (known === null) refresh();
    },
    apply: feed.apply,
  };
}

interface Executed extends QuotaOwner {
  readonly userUuid: string;
}

/** @param onLost the removal at this position has freed an unknown number of bytes of unknown owners */
function createStored(
  { position: readAt, uses, unfinished }: StoredUse,
  storedOf: Queries['storedOf'],
  onLost: (position: number) => void,
): Stored {
  const bytesOf = new Map<string, number>();
  const running = new Map<string, Executed>(unfinished.map(({ id, ...of }) => [id, of]));
  for (const use of uses) add(use, use.bytes);

  function add({ tenant, userUuid }: QuotaOwner, bytes: number): void {
    for (const owner of [
      { tenant, userUuid },
      { tenant, userUuid: null },
    ]) {
      const key = quotaOwnerKey(owner);
      const sum = (bytesOf.get(key) ?? 0) + bytes;
      if (sum === 0) bytesOf.delete(key);
      else bytesOf.set(key, sum);
    }
  }

  /** The event of a pruning names executions, but not their owners. The owners are read from the rows, which stay. */
  async function free(executionIds: Parameters<typeof storedOf>[0]): Promise<void> {
    for (const use of await storedOf(executionIds)) add(use, -use.bytes);
  }

  return {
    readAt,
    usedBy: (owner) => bytesOf.get(quotaOwnerKey(owner)) ?? 0,
    apply: ({ event, streamId, position }) => {
      if (position <= readAt) return;
      if (event.type === 'ExecutionRequested') {
        const { tenant, userUuid, codeBytes } = event.data;
        running.set(streamId, { tenant, userUuid });
        add({ tenant, userUuid }, codeBytes);
      } else if (event.type === 'InputSent') {
        const of = running.get(streamId);
        if (of) add(of, event.data.bytes);
      } else if (event.type === 'ExecutionFinished') {
        const of = running.get(streamId);
        running.delete(streamId);
        if (of) add(of, event.data.storedOutputBytes);
      } else if (event.type === 'HistoryPruned' && event.data.executionIds) {
        free(event.data.executionIds).catch(() => onLost(position));
      } else if (event.type === 'DataForgotten' && event.data.executionIds) {
        // The owners are not recorded anywhere any more.
        onLost(position);
      }
    },
  };
}

/** Whether any tenant or user has a limit of stored bytes. */
export function limitsStored(
  defaults: Readonly<Record<QuotaScope, Limits>>,
  set: readonly Quota[],
): boolean {
  return (
    Object.values(defaults).some(({ STORED_BYTES }) => STORED_BYTES !== undefined) ||
    set.some(({ kind, maximum }) => kind === 'STORED_BYTES' && maximum !== null)
  );
}
