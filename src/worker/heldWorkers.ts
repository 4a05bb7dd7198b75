/** The workers that this gateway acts for: one {@link HeldWorker} for each lease that it holds. */
import type { Logger } from 'pino';
import { within } from '../async/within.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';
import { type RecordedEvent, streamIdOf } from '../domain/events.ts';
import { type Execution, evolveExecution } from '../domain/execution.ts';
import type { ContextId, ExecutionId, WorkerId } from '../domain/ids.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import { evolveSession } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import { createHeldWorker } from './createHeldWorker.ts';
import type { HeldWorker, HeldWorkerDeps } from './heldWorker.ts';
import { DURABLE_OPERATIONS, operationOf } from './operations.ts';

interface HeldWorkersDeps {
  readonly database: Database;
  readonly logger: Logger;
  readonly messageCounts: MessageCounts;
  readonly now: () => Date;
  readonly interruptGraceMs: number;
  readonly maxCommands: number;
  readonly laneOf: HeldWorkerDeps['laneOf'];
  readonly followers: (execution: Execution) => number;
  readonly egress: HeldWorkerDeps['egress'];
  /** How the worker's agent is reached. Null: the worker was never started. */
  readonly addressOf: (worker: Worker) => AgentAddress | null;
  readonly onSuspect: (workerId: WorkerId, why: string) => void;
  /** Called whenever the worker's agent is connected. */
  readonly onOpen: (worker: Worker) => void;
}

export interface HeldWorkers {
  get(id: WorkerId): HeldWorker | undefined;
  all(): HeldWorker[];
  /**
   * Takes the worker's lease and starts acting for it. Null if another live gateway acts for it, it was never started,
   * or this gateway is closing. Idempotent.
   */
  adopt(worker: Worker): Promise<HeldWorker | null>;
  /** Stops acting for a worker that has ended, and releases its lease. */
  drop(id: WorkerId): Promise<void>;
  /** Passes an event that any gateway recorded to the worker that it is about. Events must come in order. */
  apply(event: RecordedEvent): void;
  /**
   * Stops acting for all workers without ending their executions, so that another gateway can continue. An adoption
   * under way gives its lease back.
   */
  close(drainMs: number): Promise<void>;
}

export function createHeldWorkers(deps: HeldWorkersDeps): HeldWorkers {
  const workers = new Map<WorkerId, HeldWorker>();
  /** The event position of the recorded state that each held worker was made from. A lagging event feed may still
  report earlier events. */
  const madeAt = new WeakMap<HeldWorker, number>();
  /** Workers that are being adopted, with the events that arrived meanwhile and may be about them. */
  const adopting = new Map<
    WorkerId,
    { promise: Promise<HeldWorker | null>; missed: RecordedEvent[] }
  >();

  let isClosed = false;

  const offLost = deps.database.leases.onLost((name) => {
    for (const held of workers.values()) {
      if (streamIdOf('worker', held.workerId) === name) held.lose();
    }
  });

  async function drop(id: WorkerId): Promise<void> {
    await adopting.get(id)?.promise.catch(() => null);
    const held = workers.get(id);
    workers.delete(id);
    await held?.close(0);
    await deps.database.leases.releaseWorker(id);
  }

  async function takeOver(worker: Worker, missed: RecordedEvent[]): Promise<HeldWorker | null> {
    const taken = await hold(deps, worker, (id) => workers.delete(id));
    if (taken === null) return null;
    const { held, position } = taken;
    if (isClosed) {
      await held.close(0);
      await deps.database.leases.releaseWorker(worker.id);
      return null;
    }
    workers.set(worker.id, held);
    madeAt.set(held, position);
    // Nothing is awaited between `hold` and here, so the missed events are applied before any later one. Events that
    // name no worker are kept for every adoption, so most of them are about other workers.
    for (const event of missed)
      if (event.position > position && isAbout(held, event)) tell(held, event);
    return held;
  }

  return {
    get: (id) => workers.get(id),
    all: () => [...workers.values()],
    adopt: (worker) => {
      const held = workers.get(worker.id);
      if (held) return Promise.resolve(held);
      const under = adopting.get(worker.id);
      if (under) return under.promise;
      if (isClosed) return Promise.resolve(null);
      const missed: RecordedEvent[] = [];
      const promise = takeOver(worker, missed).finally(() => adopting.delete(worker.id));
      adopting.set(worker.id, { promise, missed });
      return promise;
    },
    drop,
    apply: (event) => {
      if (event.event.type === 'WorkerRemoved') {
        // This is needed even without a `HeldWorker`: this gateway may have the lease only to end the worker.
        drop(event.streamId as WorkerId).catch((error: unknown) =>
          deps.logger.error({ err: error }, 'could not stop acting for a removed worker'),
        );
        return;
      }
      const workerId = workerOf(event);
      const held = workerId
        ? workers.get(workerId)
        : [...workers.values()].find((each) => isAbout(each, event));
      if (held && event.position <= (madeAt.get(held) ?? 0)) return;
      if (held) tell(held, event);
      else if (workerId) adopting.get(workerId)?.missed.push(event);
      else for (const { missed } of adopting.values()) missed.push(event);
    },
    close: async (drainMs) => {
      isClosed = true;
      offLost();
      const underWay = [...adopting.values()].map(({ promise }) => promise);
      await Promise.all([
        ...[...workers.values()].map((held) => held.close(drainMs)),
        // If the database is away, an adoption may take longer than `drainMs`. When it ends, `takeOver` sees
        // `isClosed`, and does not act for the worker.
        within(drainMs, Promise.allSettled(underWay), () => undefined),
      ]);
      workers.clear();
    },
  };
}

/**
 * Takes the worker's lease and creates its held worker from the state recorded up to `position`. Null if another
 * gateway has the lease, or if the worker was never started.
 */
async function hold(
  deps: HeldWorkersDeps,
  worker: Worker,
  onFenced: (id: WorkerId) => void,
): Promise<{ readonly held: HeldWorker; readonly position: number } | null> {
  const { id } = worker;
  const { leases, queries, store } = deps.database;
  const address = deps.addressOf(worker);
  if (address === null) return null;
  const cursor = await leases.acquireWorker(id);
  if (cursor === null) return null;
  const [position, found] = await readTakenOver(deps.database, id).catch(async (error: unknown) => {
    // If this gateway kept the lease without acting for the worker, no other gateway could act for it either.
    await leases.releaseWorker(id);
    throw error;
  });
  const held = createHeldWorker(
    {
      ...deps,
      store,
      logger: deps.logger.child({ workerId: id }),
      unfinishedOf: queries.unfinishedStates,
      reloadExecution: queries.execution,
      lastSeq: async (executionId) => (await queries.outputEnd(executionId)).lastSeq,
      reloadSession: (session) => queries.session(session.id),
      reloadContexts: queries.contexts,
      variables: queries.sessionVariables,
      executionVariables: queries.executionVariables,
      readInput: queries.inputIn,
      onFenced,
      onOpen: () => deps.onOpen(worker),
    },
    { workerId: id, address, cursor, ...found },
  );
  return { held, position };
}

// Finds the held worker that a recorded event is about, and passes the event to it.

/** The worker that an event names, or null if it names none. */
function workerOf({ event }: RecordedEvent): WorkerId | null {
  switch (event.type) {
    case 'ExecutionRequested':
    case 'SessionOpened':
    case 'ContextCreated':
      return event.data.workerId;
    default:
      return null;
  }
}

/** Whether the event is about this worker: it names the worker, or is of its session, executions or contexts. */
function isAbout(held: HeldWorker, recorded: RecordedEvent): boolean {
  const { streamKind, streamId } = recorded;
  if (streamKind === 'session' && held.sessionId === streamId) return true;
  if (streamKind === 'execution' && held.has(streamId as ExecutionId)) return true;
  if (streamKind === 'context' && held.hasContext(streamId as ContextId)) return true;
  return workerOf(recorded) === held.workerId;
}

/** Passes an event to the held worker that it is about ({@link isAbout}), whichever gateway recorded the event. */
function tell(held: HeldWorker, recorded: RecordedEvent): void {
  const { event } = recorded;
  switch (event.type) {
    case 'SessionOpened':
      held.opened(evolveSession(null, event));
      break;
    case 'ExecutionRequested': {
      const execution = evolveExecution(null, event);
      const { code, userExpressions } = event.data;
      held.enqueue({ execution, code, ...(userExpressions && { userExpressions }), lastSeq: 0 });
      break;
    }
    case 'InputSent':
      held.takeInput({ ...recorded, event });
      break;
    case 'SessionClosed':
      if (held.sessionId === recorded.streamId) void held.end(event.data.reason);
      break;
    default:
      if (operationOf(event.type)) held.carryOut(recorded);
  }
}

/**
 * Reads the recorded state of a worker when its lease is taken, and the event position of that state. The position is
 * read first, so that the state includes everything that was committed up to it.
 */
async function readTakenOver({ queries, store }: Database, id: WorkerId) {
  const position = await store.lastPosition();
  const [session, unfinishedIn, pending] = await Promise.all([
    queries.openSessionOfWorker(id),
    readUnfinished(queries, id),
    queries.pendingRequests(id, DURABLE_OPERATIONS),
  ]);
  return [position, { session, ...unfinishedIn, pending }] as const;
}

/** Reads the contexts after the executions. So the context of each execution is among them, unless it has ended. */
async function readUnfinished(queries: Database['queries'], id: WorkerId) {
  const unfinished = await queries.unfinishedExecutions(id);
  return { unfinished, contexts: await queries.openContextsOfWorker(id) };
}
