/** The workers this gateway acts for: one {@link WorkerHost} for each whose lease it holds. */
import type { Logger } from 'pino';
import type { Database } from '../events/database.ts';
import type { RecordedEvent } from '../events/eventTypes.ts';
import { evolveExecution } from '../events/projections/evolveExecution.ts';
import { evolveSession } from '../events/projections/evolveSession.ts';
import type { Execution, Worker } from '../events/states.ts';
import { streamIdOf } from '../events/streamId.ts';
import type { ExecutionId, WorkerId } from '../ids.ts';
import type { MessageCounts } from '../kernel/messageCounts.ts';
import { createWorkerHost } from './createWorkerHost.ts';
import type { WorkerHost } from './workerHost.ts';

export interface WorkerHostsDeps {
  readonly database: Database;
  readonly logger: Logger;
  readonly messageCounts: MessageCounts;
  readonly now: () => Date;
  readonly interruptGraceMs: number;
  readonly followers: (execution: Execution) => number;
  readonly onSuspect: (workerId: WorkerId, why: string) => void;
  readonly onOpen: (workerId: WorkerId) => void;
}

export interface WorkerHosts {
  get(id: WorkerId): WorkerHost | undefined;
  all(): WorkerHost[];
  /** Takes the worker's lease and begins to act for it. Null: another live gateway does. Repeating it is harmless. */
  adopt(worker: Worker): Promise<WorkerHost | null>;
  /** Stops acting for a worker that is over, and gives up its lease. */
  drop(id: WorkerId): Promise<void>;
  /** Tells the hosts what was recorded, by whichever gateway, in order. */
  apply(event: RecordedEvent): void;
  /** Lets go of all workers without ending anything; a successor goes on. */
  close(drainMs: number): Promise<void>;
}

export function createWorkerHosts(deps: WorkerHostsDeps): WorkerHosts {
  const hosts = new Map<WorkerId, WorkerHost>();
  /** For each host the position up to which it was made: a feed that lags may still tell of what came before. */
  const madeAt = new WeakMap<WorkerHost, number>();
  /** Workers under adoption, with what was recorded about them since it began. */
  const adopting = new Map<
    WorkerId,
    { promise: Promise<WorkerHost | null>; missed: RecordedEvent[] }
  >();

  const offLost = deps.database.leases.onLost((name) => {
    for (const host of hosts.values()) {
      if (streamIdOf('worker', host.workerId) === name) host.lose();
    }
  });

  /** The position first: whatever was committed up to it is in the others. */
  async function read(id: WorkerId) {
    const { queries, store } = deps.database;
    const position = await store.lastPosition();
    const [session, unfinished, commands] = await Promise.all([
      queries.openSessionOfWorker(id),
      queries.unfinishedExecutions(id),
      queries.pendingCommands(id),
    ]);
    return [position, { session, unfinished, commands }] as const;
  }

  async function drop(id: WorkerId): Promise<void> {
    await adopting.get(id)?.promise.catch(() => null);
    const host = hosts.get(id);
    hosts.delete(id);
    await host?.close(0);
    await deps.database.leases.releaseWorker(id);
  }

  async function takeOver(worker: Worker, missed: RecordedEvent[]): Promise<WorkerHost | null> {
    const { leases, queries, store } = deps.database;
    if (worker.socketPath === null) return null;
    const cursor = await leases.acquireWorker(worker.id);
    if (cursor === null) return null;
    const [position, found] = await read(worker.id).catch(async (error: unknown) => {
      // A lease that is kept without acting would keep everybody else from it.
      await leases.releaseWorker(worker.id);
      throw error;
    });
    const host = createWorkerHost(
      {
        ...deps,
        store,
        logger: deps.logger.child({ workerId: worker.id }),
        reloadExecution: (id) => queries.execution(id),
        lastSeq: async (id) => (await queries.outputEnd(id)).lastSeq,
        reloadSession: ({ id }) => queries.session(id),
        onFenced: (id) => hosts.delete(id),
      },
      { workerId: worker.id, socketPath: worker.socketPath, cursor, ...found },
    );
    hosts.set(worker.id, host);
    madeAt.set(host, position);
    // No await since the reads: what was recorded meanwhile is told before anything else can happen to the host.
    for (const event of missed) if (event.position > position) tell(host, event);
    return host;
  }

  return {
    get: (id) => hosts.get(id),
    all: () => [...hosts.values()],
    adopt: (worker) => {
      const host = hosts.get(worker.id);
      if (host) return Promise.resolve(host);
      const under = adopting.get(worker.id);
      if (under) return under.promise;
      const missed: RecordedEvent[] = [];
      const promise = takeOver(worker, missed).finally(() => adopting.delete(worker.id));
      adopting.set(worker.id, { promise, missed });
      return promise;
    },
    drop,
    apply: (event) => {
      if (event.event.type === 'WorkerRemoved' && hosts.has(event.streamId as WorkerId)) {
        drop(event.streamId as WorkerId).catch((error: unknown) =>
          deps.logger.error({ err: error }, 'a removed worker could not be let go'),
        );
        return;
      }
      const workerId = workerOf(event);
      const host = workerId ? hosts.get(workerId) : hostOfStream(hosts, event);
      if (host && event.position <= (madeAt.get(host) ?? 0)) return;
      if (host) tell(host, event);
      else if (workerId) adopting.get(workerId)?.missed.push(event);
      else for (const { missed } of adopting.values()) missed.push(event);
    },
    close: async (drainMs) => {
      offLost();
      await Promise.all([...hosts.values()].map((host) => host.close(drainMs)));
      hosts.clear();
    },
  };
}

/** The worker that an event names, if it does. */
function workerOf({ event }: RecordedEvent): WorkerId | null {
  return event.type === 'ExecutionRequested' || event.type === 'SessionOpened'
    ? event.data.workerId
    : null;
}

function hostOfStream(
  hosts: ReadonlyMap<WorkerId, WorkerHost>,
  { streamKind, streamId }: RecordedEvent,
): WorkerHost | undefined {
  for (const host of hosts.values()) {
    const isOfSession = streamKind === 'session' && host.sessionId === streamId;
    if (isOfSession || (streamKind === 'execution' && host.has(streamId as ExecutionId)))
      return host;
  }
  return undefined;
}

function tell(host: WorkerHost, recorded: RecordedEvent): void {
  const { event } = recorded;
  const requestId = recorded.metadata.eventId;
  switch (event.type) {
    case 'SessionOpened':
      host.opened(evolveSession(null, event));
      break;
    case 'ExecutionRequested': {
      const execution = evolveExecution(null, event);
      host.enqueue({ execution, code: event.data.code, lastSeq: 0 });
      break;
    }
    case 'InterruptRequested': {
      const executionId = recorded.streamId as ExecutionId;
      host.carryOut({ type: 'interrupt', requestId, executionId }, recorded);
      break;
    }
    case 'KernelRestartRequested':
      host.carryOut({ type: 'restart', requestId }, recorded);
      break;
    case 'SessionClosed':
      if (host.sessionId === recorded.streamId) void host.end(event.data.reason);
      break;
    default:
  }
}
