/**
 * What was used today, kept in memory. It follows from the ends of executions, of all gateways, so it is exact up to the
 * event that was heard last. A day is a day in UTC, by the clock of the database. A gateway whose clock is ahead ends it
 * earlier for its own calls, and for no others.
 *
 * If a worker gave no answer, nobody knows how much CPU time its execution has used: its session was released, or the
 * worker was lost. Then it counts as if it had used all that it could while it ran. Otherwise a release right before the
 * end would make it free. It ran no longer than its time limit, however late its loss was noticed.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import { type QuotaOwner, quotaOwnerKey, type UsageKind } from '../../domain/quota.ts';
import type { DayUse } from '../../events/queries/quotaQueries.ts';

/** Whose it is, and how long it may run. */
type Unfinished = Omit<DayUse['unfinished'][number], 'id'>;
type Use = Readonly<Record<UsageKind, number>>;

const NOTHING: Use = { CPU_SECONDS_PER_DAY: 0, OUTPUT_BYTES_PER_DAY: 0 };
const MS_PER_SECOND = 1_000;

export interface UsageBook {
  usedBy(owner: QuotaOwner, now: Date): Use;
  apply(event: RecordedEvent): void;
  /** Puts what was read into the book. Until then, it only remembers what it hears. */
  put(read: DayUse): void;
}

/** @param cpus how many a worker may use */
export function createUsageBook(cpus: number): UsageBook {
  /** Those that have not ended yet. */
  const unfinished = new Map<string, Unfinished>();
  const used = new Map<string, Use>();
  let day = '';
  /** The events that were heard before {@link UsageBook.put}; null from then on. */
  let heard: RecordedEvent[] | null = [];
  let readAt = 0;

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

  function apply(recorded: RecordedEvent): void {
    const { event, streamId, position, recordedAt } = recorded;
    if (event.type === 'ExecutionRequested') {
      // Without its code.
      const { tenant, userUuid, timeoutMs } = event.data;
      unfinished.set(streamId, { tenant, userUuid, timeoutMs });
    }
    if (event.type !== 'ExecutionFinished') return;
    if (heard !== null) heard.push(recorded);
    const of = unfinished.get(streamId);
    if (heard !== null || of === undefined) return;
    unfinished.delete(streamId);
    const { cpuMs, runMs, outputBytes } = event.data;
    const most = cpuMs ?? Math.min(runMs ?? 0, of.timeoutMs) * cpus;
    if (position > readAt) add(of, recordedAt, useOf({ cpuMs: most, outputBytes }));
  }

  return {
    usedBy: (owner, now) =>
      // The clock of this gateway may be behind.
      dayOf(now) <= day ? (used.get(quotaOwnerKey(owner)) ?? NOTHING) : NOTHING,
    apply,
    put: ({ day: at, uses, unfinished: read, position }) => {
      const before = heard ?? [];
      heard = null;
      readAt = position;
      for (const { id, ...of } of read) unfinished.set(id, of);
      for (const { tenant, userUuid, ...use } of uses) add({ tenant, userUuid }, at, useOf(use));
      for (const event of before) apply(event);
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
