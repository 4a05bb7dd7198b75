/**
 * The CPU time and the output that were used today, kept in memory. They are summed up from the ends of executions at
 * all gateways, so they are exact up to the last event received. A day is a day in UTC, by the clock of the database. A
 * gateway whose clock is ahead ends the day earlier, but only for its own calls.
 *
 * If the session was released or the worker was lost, the CPU time of an execution is unknown. Then the execution
 * counts as if it had used all CPUs while it ran. Otherwise a release right before its end would make it free. It
 * counts for no longer than its time limit, however late the loss was noticed.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import { type QuotaOwner, quotaOwnerKey, type UsageKind } from '../../domain/quota.ts';
import type { DayUse } from '../../events/queries/countQueries.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { followFeed } from '../../events/wakeUps/eventNews.ts';

type Use = Readonly<Record<UsageKind, number>>;

const NOTHING: Use = { CPU_SECONDS_PER_DAY: 0, OUTPUT_BYTES_PER_DAY: 0 };
const MS_PER_SECOND = 1_000;

export interface DailyUse {
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
    // The clock of this gateway may be behind.
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
