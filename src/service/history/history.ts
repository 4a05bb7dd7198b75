/** The pool and sessions as they were at an earlier time, and the events of single workers, sessions and executions. */
import type { Environment } from '../../domain/environment.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import { type EnvironmentId, parseId, type SessionId } from '../../domain/ids.ts';
import type { EnvironmentWorkers, WorkerNumbers } from '../../domain/poolStatus.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { sealAll } from '../../events/chain/auditKeeper.ts';
import type { Database } from '../../events/database.ts';
import { execution } from '../execute/execution.ts';
import {
  type ListPage,
  type PageRequest,
  parsePosition,
  readBoundedPage,
  worker,
} from '../lists/lists.ts';
import { type Principal, sees, seesAllTenants } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/**
 * How long one call seals events. Sealing a long history of a release that did not seal takes longer. The audit keeper
 * then goes on with it.
 */
const SEAL_LIMIT_MS = 5_000;
/** Numbering a long history takes minutes, so clients are asked to wait this long before they retry. */
const RETRY_NUMBERING_AFTER_MS = 10_000;

/**
 * Seals the events that were recorded until now. Sealing numbers each event among the events of its tenant (decision
 * 0051). An event that is not sealed yet has no number, and is not listed for a tenant.
 * @throws POOL_INITIALIZING while a long history is being numbered
 */
export async function requireSealed({
  queries,
  gatewayId,
}: Pick<Database, 'queries' | 'gatewayId'>): Promise<void> {
  const end = performance.now() + SEAL_LIMIT_MS;
  let isLate = false;
  const isOver = () => {
    isLate = performance.now() > end;
    return isLate;
  };
  await sealAll(queries, { gatewayId, pauses: 0, isOver });
  if (!isLate) return;
  throw new DomainError(
    'POOL_INITIALIZING',
    'The events of all tenants are being numbered for the first time. Send the request again later.',
    { retryAfterMs: RETRY_NUMBERING_AFTER_MS },
  );
}

type StreamPageDeps = Pick<ServiceDeps, 'database' | 'config' | 'requireSealed'>;

interface Stream {
  readonly kind: 'worker' | 'session' | 'execution';
  readonly id: string;
}

/**
 * The events of one worker, session or execution, in order. An operator sees all of them. Any other principal sees
 * those of its tenant: of a worker, the events since the worker got its session. Positions are then numbers among the
 * events of the tenant. A page ends early at MAX_RESPONSE_BYTES.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
async function streamPage(
  { database, config, requireSealed }: StreamPageDeps,
  principal: Principal,
  { kind, id }: Stream,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  const { queries } = database;
  const seesAll = seesAllTenants(principal);
  if (!seesAll) await requireSealed();
  return await readBoundedPage(request, parsePosition, (after, limit) => {
    const bounds = { limit, maxBytes: config.maxResponseBytes };
    return seesAll
      ? queries.streamPage(kind, id, after ?? 0, bounds)
      : queries.tenantStreamPage(principal.tenant, { kind, id }, after ?? 0, bounds);
  });
}

/**
 * The events of a session. Null if there is no such session, or if the principal does not see it.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function sessionEvents(
  deps: StreamPageDeps,
  principal: Principal,
  sessionId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const id = parseId<SessionId>(sessionId);
  const session = id === null ? null : await deps.database.queries.session(id);
  if (!session || !sees(principal, session)) return null;
  return await streamPage(deps, principal, { kind: 'session', id: session.id }, request);
}

/**
 * The events of a worker. Null if there is no such worker in this installation, or if it has had no session that the
 * principal sees.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function workerEvents(
  deps: StreamPageDeps & Pick<ServiceDeps, 'pool'>,
  principal: Principal,
  workerId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const found = await worker(deps, principal, workerId);
  if (found === null) return null;
  return await streamPage(deps, principal, { kind: 'worker', id: found.id }, request);
}

/**
 * The events of an execution. Null if there is no such execution, or if the principal does not see it.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function executionEvents(
  deps: StreamPageDeps,
  principal: Principal,
  executionId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const found = await execution(deps, principal, executionId);
  return found && (await streamPage(deps, principal, { kind: 'execution', id: found.id }, request));
}

/** A user's session at an earlier time. */
export interface SessionAt {
  readonly at: Date;
  readonly session: Session;
  /** The executions that were unfinished at that time, in their current state. */
  readonly unfinished: readonly Execution[];
}

/** The session that the user had open at that time, from its events. Null if there was none, or if it was pruned. */
export async function sessionAt(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
  at: Date,
): Promise<SessionAt | null> {
  const session = await queries.sessionAt(tenant, validateUserUuid(userUuid), at);
  if (!session) return null;
  return { at, session, unfinished: await queries.unfinishedAt(session.id, at) };
}

/** The pool at an earlier time. */
export interface PoolAt extends WorkerNumbers {
  readonly at: Date;
  readonly workers: readonly Worker[];
  /** The numbers of workers of each version of an environment. A version without workers is absent. */
  readonly environments: readonly EnvironmentWorkers[];
}

/** The workers that existed at that time, from their events. Workers whose events were pruned are left out. */
export async function poolAt(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  _principal: Principal,
  at: Date,
): Promise<PoolAt> {
  const workers = await queries.workersAt(pool.id, at);
  const ids = new Set(workers.flatMap(({ environmentId: id }) => (id === null ? [] : [id])));
  const versions = await queries.environmentVersions([...ids]);
  const environments = versions.flatMap((version) =>
    version === null ? [] : [{ ...nameOf(version), ...numbersOf(workers, version.id) }],
  );
  return { at, workers, environments: environments.filter(hasAny), ...numbersOf(workers) };
}

function nameOf({ id, name, number }: Environment) {
  return { environmentId: id, name, version: number };
}

function hasAny({ totalWorkers }: WorkerNumbers): boolean {
  return totalWorkers > 0;
}

/** @param environmentId left out: all workers, whatever their environment */
function numbersOf(workers: readonly Worker[], environmentId?: EnvironmentId): WorkerNumbers {
  const count = (...states: Worker['state'][]) =>
    workers.filter(
      (worker) =>
        states.includes(worker.state) &&
        (environmentId === undefined || worker.environmentId === environmentId),
    ).length;
  const startingWorkers = count('REQUESTED', 'STARTING');
  const idleWorkers = count('IDLE');
  const busyWorkers = count('ASSIGNED');
  const totalWorkers = startingWorkers + idleWorkers + busyWorkers;
  return { startingWorkers, idleWorkers, busyWorkers, totalWorkers };
}
