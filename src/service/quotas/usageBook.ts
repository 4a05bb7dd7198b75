/**
 * What was used today, kept in memory. It follows from the ends of executions, of all gateways, so it is exact up to the
 * event that was heard last. A day is a day in UTC, by the clock of the database, so no gateway's clock can end it.
 *
 * If a worker gave no answer, nobody knows how much CPU time its execution has used: its session was released, or the
 * worker was lost. Then it counts as if it had used all that it could while it ran. Otherwise a release right before the
 * end would make it free.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import { type QuotaOwner, quotaOwnerKey, type UsageKind } from '../../domain/quota.ts';
import type { DayUse } from '../../events/queries/quotaQueries.ts';

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
  /** Who has requested the executions that have not ended yet. */
  const owners = new Map<string, QuotaOwner>();
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
    if (event.type === 'ExecutionRequested') owners.set(streamId, event.data);
    if (event.type !== 'ExecutionFinished') return;
    if (heard !== null) heard.push(recorded);
    const owner = owners.get(streamId);
    if (heard !== null || owner === undefined) return;
    owners.delete(streamId);
    const { cpuMs, runMs, outputBytes } = event.data;
    const most = cpuMs ?? (runMs ?? 0) * cpus;
    if (position > readAt) add(owner, recordedAt, useOf({ cpuMs: most, outputBytes }));
  }

  return {
    usedBy: (owner, now) =>
      dayOf(now) === day ? (used.get(quotaOwnerKey(owner)) ?? NOTHING) : NOTHING,
    apply,
    put: ({ day: at, uses, unfinished, position }) => {
      const before = heard ?? [];
      heard = null;
      readAt = position;
      for (const { id, ...owner } of unfinished) owners.set(id, owner);
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
