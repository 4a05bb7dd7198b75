/**
 * The event store: groups commits of concurrent calls, and sends each group as one statement. A commit passes these steps
 * in the order of this file: it is prepared, waits in the queue, is taken into a group, and is sent with it.
 */
import type { Logger } from 'pino';
import { within } from '../../async/within.ts';
import type { DatabaseFaults } from '../../domain/databaseFaults.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { NewId, WorkerId } from '../../domain/ids.ts';
import { schemaVersionOf } from '../../domain/upcasts.ts';
import { type Client, pauseBetween } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import { COMMIT_SQL, type CommitResult, commitParameters } from './commitParameters.ts';
import { commitError, isRefusal, isTransient } from './databaseErrors.ts';
import {
  AskerGoneError,
  type Committed,
  DatabaseAwayError,
  type EventStore,
  type OnCommitted,
} from './eventStore.ts';
import { type PreparedCommit, prepareCommit } from './preparedCommit.ts';
import { createQuotaCounts, type QuotaCounts } from './quotaRows.ts';
import { readLastPosition } from './readEvents.ts';

interface EventStoreDeps {
  /** A client for commits alone. It has one connection, so only one group is under way at a time. */
  readonly commits: Client;
  readonly reads: Client;
  readonly gatewayId: string;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly onCommitted: OnCommitted;
  /** Whether the database behind the connection of `commits` has all events that this gateway has seen. */
  readonly hasHistory: () => Promise<boolean>;
  readonly freshOutputs: FreshOutputs;
  readonly faults: Pick<DatabaseFaults, 'commitRetries'>;
}

interface ClosableEventStore extends EventStore {
  /** Refuses new commits. Resolves when the waiting ones are done or have been given up. Idempotent. */
  close(): Promise<void>;
}

/** The event store on PostgreSQL. */
export function createEventStore(deps: EventStoreDeps): ClosableEventStore {
  const { reads, gatewayId, newId } = deps;
  const closing = new AbortController();
  const quotaCounts = createQuotaCounts();
  const queue = createCommitQueue(commitGroup, isRefusal);

  /** The result is null for a commit that was not sent, because its asker's token has ended or could not be checked. */
  async function commitGroup(group: readonly PreparedCommit[]): Promise<(Committed | null)[]> {
    const { commits: client, freshOutputs } = deps;
    const sending = { ...deps, client, quotaCounts, closing: closing.signal };
    const { result, committed } = await sendGroup(group, sending);
    if (result === null) return group.map(() => null);
    const outcomes = toCommitted(committed, result, gatewayId);
    if (result.quotas) quotaCounts.learn(result.quotas, lastPositionOf(committed, result));
    for (const prepared of committed) freshOutputs.stored(prepared);
    deps.onCommitted(
      outcomes.flatMap(({ events }) => events),
      {
        executionIds: committed.flatMap(({ commit }) =>
          (commit.outputs ?? []).map(({ executionId }) => executionId),
        ),
        sessionIds: result.outputSessionIds ?? [],
      },
      result.previousEventId,
    );
    if (committed.length === group.length) return outcomes;
    return group.map((prepared) => outcomes[committed.indexOf(prepared)] ?? null);
  }

  return {
    commit: async (commit) => {
      if (closing.signal.aborted) throw new Error('The event store is closed.');
      const prepared = prepareCommit(commit, newId);
      const committed = await queue.push(prepared).catch((error: unknown) => {
        throw commitError(error);
      });
      if (committed !== null) return committed;
      if (commit.asker?.isOver) throw new AskerGoneError();
      throw new DatabaseAwayError(Math.round(performance.now() - prepared.askedAt));
    },
    lastPosition: () => readLastPosition(reads),
    close: async () => {
      closing.abort();
      await queue.drained();
    },
  };
}

function lastPositionOf(group: readonly PreparedCommit[], { firstPosition }: CommitResult): number {
  return group.reduce((position, { events }) => position + events.length, (firstPosition ?? 1) - 1);
}

/** Positions count up from the first one, in the order in which the group was sent. */
function toCommitted(
  group: readonly PreparedCommit[],
  result: CommitResult,
  gatewayId: string,
): Committed[] {
  let position = result.firstPosition ?? 0;
  const recordedAt = new Date(result.committedAt);
  return group.map(({ commit: { actor = null }, events, states }) => ({
    states,
    events: events.map(({ kind, id, version, event, ...ids }): RecordedEvent => {
      const { eventId, causationId, correlationId } = ids;
      const recorded: RecordedEvent = {
        position,
        streamKind: kind,
        streamId: id,
        version,
        schemaVersion: schemaVersionOf(event.type),
        event,
        metadata: { eventId, gatewayId, causationId, correlationId, actor },
        recordedAt,
      };
      position += 1;
      return recorded;
    }),
  }));
}

// The queue, and the choice of the next group.

/** A larger group gains nothing measurable. If one commit fails, all others in its group are sent again one by one. */
const MAX_GROUP_COMMITS = 64;
/** Limits the duration of a group, and thus the wait of the next one, to some 5 ms. A single commit may be larger. */
const MAX_GROUP_BYTES = 256 * 1024;
/** Commits up to this size (requests, starts and ends of runs, some lines) join a group even if it is full by bytes. */
const SMALL_BYTES = 16 * 1024;

interface CommitQueue<R> {
  /** Resolves or rejects with the result of this commit alone, not of others in the same transaction. */
  push(prepared: PreparedCommit): Promise<R>;
  /** Resolves when no commit waits any more. */
  drained(): Promise<void>;
}

interface Waiting<R> {
  readonly prepared: PreparedCommit;
  readonly resolve: (result: R) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Sends one group at a time. Commits that arrive meanwhile form the next group. Two commits conflict if one writes a
 * thing that the other writes or relies on. Such commits never share a group and never overtake each other. Floods let
 * others pass ({@link BulkPace}).
 * @param run commits a whole group and resolves with a result for each member in order. If it rejects with an error
 * that `canSplit` accepts, it has written nothing.
 * @param canSplit whether the members of a group that was rejected with this error may be tried one by one
 */
export function createCommitQueue<R>(
  run: (group: readonly PreparedCommit[]) => Promise<readonly R[]>,
  canSplit: (error: unknown) => boolean,
): CommitQueue<R> {
  let waiting: Waiting<R>[] = [];
  let draining: Promise<void> | null = null;
  let pushed = () => {};
  const pace = createBulkPace();

  async function drain(): Promise<void> {
    // Commits made in the same tick share the first group.
    await null;
    while (waiting.length > 0) {
      const pauseMs = pace.pauseMs();
      const isHeld = pauseMs > 0 ? pace.isFlood : () => false;
      const { group, rest } = takeGroup(waiting, isHeld);
      if (group.length === 0) {
        await nextPush(pauseMs);
        continue;
      }
      waiting = rest;
      const beganAt = performance.now();
      await runGroup(group);
      pace.committed(
        group.map(({ prepared }) => prepared),
        waiting.map(({ prepared }) => prepared),
        performance.now() - beganAt,
      );
    }
    draining = null;
  }

  /** Resolves at the next `push`, and after `ms` at the latest. */
  async function nextPush(ms: number): Promise<void> {
    const next = new Promise<void>((resolve) => {
      pushed = resolve;
    });
    await within(ms, next, () => undefined);
  }

  async function runGroup(group: readonly Waiting<R>[]): Promise<void> {
    try {
      const results = await run(group.map(({ prepared }) => prepared));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (error: unknown) {
      if (group.length > 1 && canSplit(error)) {
        for (const member of group) await runGroup([member]);
      } else {
        for (const { reject } of group) reject(error);
      }
    }
  }

  return {
    push: (prepared) =>
      new Promise((resolve, reject) => {
        waiting.push({ prepared, resolve, reject });
        draining ??= drain();
        pushed();
      }),
    drained: async () => {
      await draining;
    },
  };
}

/**
 * Takes commits from the queue, in order. A commit is left for later if it is held back, if the group has no room for
 * it, or if it conflicts with any commit before it, whether that one was taken or left.
 */
function takeGroup<R>(
  waiting: readonly Waiting<R>[],
  isHeld: (prepared: PreparedCommit) => boolean,
) {
  const group: Waiting<R>[] = [];
  const rest: Waiting<R>[] = [];
  const exclusive = new Set<string>();
  const shared = new Set<string>();
  let bytes = 0;
  for (const member of waiting) {
    const { prepared } = member;
    const isFree =
      ![...prepared.exclusive].some((name) => exclusive.has(name) || shared.has(name)) &&
      ![...prepared.shared].some((name) => exclusive.has(name));
    const hasRoom =
      group.length === 0 ||
      prepared.bytes <= SMALL_BYTES ||
      bytes + prepared.bytes <= MAX_GROUP_BYTES;
    if (isFree && hasRoom && group.length < MAX_GROUP_COMMITS && !isHeld(prepared)) {
      group.push(member);
      bytes += prepared.bytes;
    } else {
      rest.push(member);
    }
    for (const name of prepared.exclusive) exclusive.add(name);
    for (const name of prepared.shared) shared.add(name);
  }
  return { group, rest };
}

// Which worker is a flood, and how long floods wait.

/** A worker may store this much at a time without being a flood: some charts, or a long table. */
const BURST_BYTES = 512 * 1024;
/**
 * A worker's stored bytes are forgotten at this rate. Floods that pause for each other still store faster than this, so
 * each of them continues to count as a flood.
 */
const FORGIVEN_BYTES_PER_SECOND = 64 * 1024;
/** Bytes beyond this are not counted, so that a worker is no flood any more 8 seconds after its output has ended. */
const MAX_EXCESS_BYTES = 2 * BURST_BYTES;
/**
 * The pause after a flood's commit, as a multiple of the commit's duration. So all floods together use an eighth of the
 * time for their commits.
 */
const PAUSES_PER_COMMIT = 7;
/** Longest pause, however long the commit took. */
const MAX_PAUSE_MS = 100;
/**
 * How long a commit that is not of a flood counts as recent. It is longer than a short call takes. So a client that
 * makes one short call after another always counts as active, although it commits nothing while its code runs.
 */
const RECENT_MS = 250;
/** Above this number of workers, those without counted bytes are dropped. */
const MAX_REMEMBERED = 1_000;

/**
 * Slows down workers that print without end, so that they wait for each other and nobody else waits for them. Without
 * this, storing the output of ten such kernels takes all CPU time of the database and the gateway, and the commits of a
 * `1+1` wait behind megabytes (docs/decisions/0016-floods-make-way.md).
 * A worker that has stored more than {@link BURST_BYTES} counts as a flood until it has stored little for some seconds.
 * After a flood's commit, all floods pause if another flood waits and somebody else has committed recently. One flood
 * alone does not pause. Floods do not pause either while nobody else commits. Nothing else ever pauses: not charts,
 * long answers or large code.
 */
interface BulkPace {
  isFlood(commit: PreparedCommit): boolean;
  /** Milliseconds until floods may commit again. 0 or less: they may now. */
  pauseMs(): number;
  /** Records that a group was committed in `tookMs`, and that the commits `left` still wait. */
  committed(
    group: readonly PreparedCommit[],
    left: readonly PreparedCommit[],
    tookMs: number,
  ): void;
}

function createBulkPace(): BulkPace {
  /** The counted bytes of each worker, as of the time `at`. */
  const excess = new Map<WorkerId, { readonly bytes: number; readonly at: number }>();
  let resumesAt = Number.NEGATIVE_INFINITY;
  let othersAt = Number.NEGATIVE_INFINITY;

  function excessOf(workerId: WorkerId): number {
    const { bytes, at } = excess.get(workerId) ?? { bytes: 0, at: 0 };
    return Math.max(0, bytes - ((performance.now() - at) / 1_000) * FORGIVEN_BYTES_PER_SECOND);
  }

  function isFlood({ commit: { cursor } }: PreparedCommit): boolean {
    return cursor !== undefined && excessOf(cursor.workerId) > BURST_BYTES;
  }

  function count({ commit: { cursor }, bytes }: PreparedCommit): void {
    if (!cursor) return;
    excess.set(cursor.workerId, {
      bytes: Math.min(MAX_EXCESS_BYTES, excessOf(cursor.workerId) + bytes),
      at: performance.now(),
    });
    if (excess.size > MAX_REMEMBERED)
      for (const id of excess.keys()) if (excessOf(id) === 0) excess.delete(id);
  }

  return {
    isFlood,
    pauseMs: () => resumesAt - performance.now(),
    committed: (group, left, tookMs) => {
      const now = performance.now();
      const hadFlood = group.some(isFlood);
      if (!group.every(isFlood)) othersAt = now;
      for (const commit of group) count(commit);
      if (hadFlood && left.some(isFlood) && now - othersAt <= RECENT_MS)
        resumesAt = now + Math.min(MAX_PAUSE_MS, PAUSES_PER_COMMIT * tookMs);
    },
  };
}

// Sends a group.

/** How long a commit waits for a database that is away. A group fails when its oldest commit has waited this long. */
const COMMIT_RETRY_LIMIT_MS = 30_000;
/** The same while closing. If a commit fails then, the agent sends its output again, to the next gateway. */
const CLOSING_RETRY_LIMIT_MS = 2_000;

interface SendGroupDeps {
  readonly client: Client;
  readonly hasHistory: EventStoreDeps['hasHistory'];
  readonly gatewayId: string;
  readonly quotaCounts: QuotaCounts;
  readonly logger: Logger;
  readonly faults: Pick<DatabaseFaults, 'commitRetries'>;
  /** Aborted when the store is closing. */
  readonly closing: AbortSignal;
}

/** The part of a group that was committed. */
interface SentGroup {
  /** Null: no commit of the group was sent. */
  readonly result: CommitResult | null;
  /** The commits of the group that were written. The others are those that {@link sendableOf} left out. */
  readonly committed: readonly PreparedCommit[];
}

/**
 * Sends a group until the database has answered, for at most COMMIT_RETRY_LIMIT_MS. After a lost connection the outcome
 * is unknown. So the same group is sent again, marked as repeated: the database then looks for its event ids and does
 * nothing twice. Each attempt sends only the commits that {@link sendableOf} returns at that time.
 * @throws the database's refusal unchanged, or DatabaseAwayError if the database stays away. In the second case, the
 * group may have been written or not
 */
async function sendGroup(
  group: readonly PreparedCommit[],
  { client, hasHistory, gatewayId, quotaCounts, logger, faults, closing }: SendGroupDeps,
): Promise<SentGroup> {
  const askedAt = Math.min(...group.map((prepared) => prepared.askedAt));
  const waitedMs = () => Math.round(performance.now() - askedAt);
  let isRepeated = false;
  let wasRefusedOnRepeat = false;
  /** Whether every attempt so far has sent the whole group. */
  let wasWhole = true;
  for (let attempt = 0; ; attempt += 1) {
    const sendable = await sendableOf(group);
    if (sendable.length === 0) return { result: null, committed: [] };
    wasWhole &&= sendable.length === group.length;
    try {
      if (!(await hasHistory())) throw new DatabaseAwayError(waitedMs());
      const parameters = commitParameters(sendable, gatewayId, isRepeated, quotaCounts);
      const result = await send(client, parameters);
      // A result without the field `quotas` is that of an earlier attempt, which may have sent other commits of the
      // group.
      if (result.quotas !== undefined || wasWhole) return { result, committed: sendable };
      const { committed, firstPosition } = await committedOf(
        client,
        group,
        result.firstPosition ?? 0,
      );
      return { result: { ...result, firstPosition }, committed };
    } catch (error: unknown) {
      if (isTransient(error)) {
        isRepeated ||= !isRefusal(error);
        if (waitedMs() > (closing.aborted ? CLOSING_RETRY_LIMIT_MS : COMMIT_RETRY_LIMIT_MS)) {
          throw new DatabaseAwayError(waitedMs(), { cause: error });
        }
        faults.commitRetries += 1;
        logger.warn({ err: error, attempt }, 'The database did not take a commit; trying again');
        await pauseBetween(attempt, closing);
      } else if (isRepeated && !wasRefusedOnRepeat) {
        // The repeat may have been refused because the first attempt was just committing. So the group is sent once
        // more, which finds the events of the first attempt.
        wasRefusedOnRepeat = true;
      } else {
        throw error;
      }
    }
  }
}

/**
 * How long a group waits for fresh knowledge of its askers' tokens. Changes of tokens are read four times a second, so
 * this takes longer only while the database does not respond. The other commits of the group wait meanwhile.
 */
const KNOWN_WITHIN_MS = 1_000;

/**
 * The commits of the group that may be sent now: those without an asker, and those whose asker's token is known to be
 * valid.
 */
async function sendableOf(group: readonly PreparedCommit[]): Promise<readonly PreparedCommit[]> {
  const unknown = group.flatMap(({ commit: { asker } }) => asker?.fresh() ?? []);
  if (unknown.length > 0) await within(KNOWN_WITHIN_MS, Promise.all(unknown), () => undefined);
  const isSendable = ({ commit: { asker } }: PreparedCommit) =>
    asker === undefined || (!asker.isOver && asker.fresh() === null);
  return group.every(isSendable) ? group : group.filter(isSendable);
}

async function send(
  client: Client,
  parameters: ReturnType<typeof commitParameters>,
): Promise<CommitResult> {
  const query = client.sql.unsafe<{ committed: CommitResult }[]>(
    COMMIT_SQL,
    parameters as Parameters<typeof client.sql.unsafe>[1],
    { prepare: true },
  );
  const [row] = await client.answered(query);
  letGo(query, parameters);
  if (!row) throw new Error('cellhouse_commit gave no row.');
  return row.committed;
}

/**
 * Drops the references to what was sent. V8's minor collections do not free what a finished query of postgres.js still
 * refers to (measured: 85 % of it survived), so a flood caused a full collection for each 10 MB.
 * Checked against postgres 3.4.9.
 */
function letGo(query: object, parameters: unknown[]): void {
  parameters.length = 0;
  Object.assign(query, { parameters: [] });
}

/**
 * The commits of the group that were in the transaction of the event at `position`, and the position of their first
 * event. Another attempt may have sent other commits of the group, which then have other positions. Commits without
 * events have no asker, so every attempt contained them.
 */
async function committedOf(
  { sql, answered }: Client,
  group: readonly PreparedCommit[],
  position: number,
): Promise<{ readonly committed: readonly PreparedCommit[]; readonly firstPosition: number }> {
  const firstIds = group.flatMap(({ events }) => events[0]?.eventId ?? []);
  const rows = await answered(
    sql<{ eventId: string; position: number }[]>`
      SELECT e.event_id, e.position FROM events e
      WHERE e.event_id = ANY (${firstIds}) AND e.xmin = (SELECT at.xmin FROM events at WHERE at.position = ${position})`,
  );
  const found = new Map(rows.map((row) => [row.eventId, row.position]));
  return {
    committed: group.filter(
      ({ events: [first] }) => first === undefined || found.has(first.eventId),
    ),
    firstPosition: Math.min(...found.values()),
  };
}
