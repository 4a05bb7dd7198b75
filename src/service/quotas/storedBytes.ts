/**
 * The bytes that the records of executions take, summed up in memory. Code counts from its acceptance, input from when
 * it is recorded, and output from the end of its execution, until they are pruned or forgotten. The sums follow the
 * events of all gateways, so they are exact up to the last event received. They include all of the history, which takes
 * long to read. So nothing is read or kept before the first call needs it.
 */
import type { RecordedEvent } from '../../domain/events.ts';
import {
  type Limits,
  type Quota,
  type QuotaOwner,
  type QuotaScope,
  quotaOwnerKey,
} from '../../domain/quota.ts';
import type { StoredUse } from '../../events/queries/countQueries.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { followFeed } from '../../events/wakeUps/eventNews.ts';

export interface StoredBytes {
  /** Bytes of code, input and output. Waits while they are read. */
  usedBy(owner: QuotaOwner): Promise<number>;
  /** Begins to read what is stored, if nobody has yet. Later callers then wait less. */
  prepare(): void;
  apply(event: RecordedEvent): void;
}

/** What is stored, up to an event. */
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
