/** Pages of events, executions, sessions, workers, tokens and environments. */
import { EVENT_TYPES, type RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import {
  type ContextId,
  type ExecutionId,
  parseId,
  type SessionId,
  type WorkerId,
} from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import { quoted } from '../../domain/text.ts';
import type { UsedToken } from '../../domain/token.ts';
import { both, type Users } from '../../domain/users.ts';
import type { Worker } from '../../domain/worker.ts';
import type { BoundedPage, Edge } from '../../events/queries/listQueries.ts';
import { type EnvironmentView, environments } from '../environments/environments.ts';
import { type Principal, sees, seesAllTenants, tenantAsked } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateMetadata } from '../sessions/validateOptions.ts';
import { refuse, validateNumber, validateUserUuid } from '../validate.ts';

interface EventFilter {
  readonly types?: readonly string[] | null | undefined;
}

/**
 * Events in the order in which they were recorded. An operator sees all of them. Any other principal sees those of its
 * tenant. Positions and cursors are then numbers among the events of the tenant, so they reveal nothing of other
 * tenants. A page ends early at MAX_RESPONSE_BYTES.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function events(
  { database, config, requireSealed }: Pick<ServiceDeps, 'database' | 'config' | 'requireSealed'>,
  principal: Principal,
  { types }: EventFilter,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  const valid = types == null ? null : validateTypes(types);
  const { queries } = database;
  const seesAll = seesAllTenants(principal);
  if (!seesAll) await requireSealed();
  const page = await readBoundedPage(request, parsePosition, (after, limit) => {
    const bounds = { limit, maxBytes: config.maxResponseBytes };
    return seesAll
      ? queries.eventPage(valid, after ?? 0, bounds)
      : queries.tenantEventPage(principal.tenant, valid, after ?? 0, bounds);
  });
  if (seesAll) return page;
  return {
    ...page,
    edges: page.edges.map(({ item, cursor }) => ({ item: withoutHash(item), cursor })),
  };
}

/**
 * Leaves out the hash of a token's secret. Only operators see the hash: they make tokens, and need it to verify the
 * audit chain.
 */
function withoutHash(recorded: RecordedEvent): RecordedEvent {
  const { event } = recorded;
  if (event.type !== 'TokenCreated' && event.type !== 'TokenRotated') return recorded;
  const { secretSha256: _, ...data } = event.data;
  return { ...recorded, event: { ...event, data } as unknown as RecordedEvent['event'] };
}

/** @throws BAD_USER_INPUT for an unknown type: otherwise a misspelt name would give an empty list */
function validateTypes(types: readonly string[]): readonly string[] {
  const unknown = types.find((type) => !EVENT_TYPES.has(type));
  if (unknown === undefined) return types;
  const what = `has ${quoted(unknown)}, which is no type of event; docs/internals/events.md names them all`;
  return refuse('types', what, {});
}

interface ExecutionFilter {
  /** Null or left out: that of the caller. */
  readonly tenant?: string | null | undefined;
  readonly userUuid?: string | null | undefined;
  readonly sessionId?: string | null | undefined;
  /** The default context has the id of its session. */
  readonly contextId?: string | null | undefined;
  readonly language?: Execution['language'] | null | undefined;
  readonly statuses?: readonly Execution['status'][] | null | undefined;
  /** Requested at this time or later. */
  readonly from?: Date | null | undefined;
  /** Requested before this time. */
  readonly to?: Date | null | undefined;
  /** Only executions of sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
}

/** The executions of a tenant, the last accepted first. @throws BAD_USER_INPUT; FORBIDDEN for another tenant */
export async function executions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  { tenant, userUuid, from, to, metadata, ...rest }: ExecutionFilter,
  request: PageRequest,
): Promise<ListPage<Execution>> {
  const sessionId = rest.sessionId == null ? null : parseId<SessionId>(rest.sessionId);
  const contextId = rest.contextId == null ? null : parseId<ContextId>(rest.contextId);
  const isNothing =
    (rest.sessionId != null && sessionId === null) ||
    (rest.contextId != null && contextId === null);
  const filter = {
    sessionId,
    contextId,
    language: rest.language ?? null,
    statuses: rest.statuses ?? null,
    tenant: tenantAsked(principal, tenant, 'the executions'),
    users: principal.users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    from: from ?? null,
    to: to ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(
    request,
    (cursor) => positionOf(database, principal, cursor),
    async (before, limit) =>
      // A malformed id matches nothing.
      isNothing ? [] : await database.queries.executionPage(filter, before, limit),
  );
}

/** A cursor is the id of an execution. A position would reveal how many events all tenants record. */
export async function positionOf(
  { queries }: Pick<ServiceDeps['database'], 'queries'>,
  principal: Principal,
  cursor: string,
): Promise<number | null> {
  const id = parseId<ExecutionId>(cursor);
  const place = id === null ? null : await queries.executionPlace(id);
  return place !== null && sees(principal, place) ? place.position : null;
}

export interface SessionFilter {
  /** Null or left out: that of the caller. */
  readonly tenant?: string | null | undefined;
  readonly userUuid?: string | null | undefined;
  /** Only sessions of these users. */
  readonly users?: Users | null | undefined;
  readonly isOpen?: boolean | null | undefined;
  /** Only sessions that were opened at this time or later. */
  readonly from?: Date | null | undefined;
  /** Only sessions with the environment of this name. If the name is null: only sessions without an environment. */
  readonly environment?: { readonly name: string | null } | null | undefined;
  /** Only sessions whose metadata have all these pairs. */
  readonly metadata?: unknown;
  /** Whether the first opened sessions come first. Left out: the last opened come first. */
  readonly oldestFirst?: boolean | null | undefined;
}

/**
 * The sessions of a tenant, the last opened first unless the filter says otherwise. A cursor is valid in either order
 * and with any filter.
 * @throws BAD_USER_INPUT; FORBIDDEN for another tenant
 */
export async function sessions(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  { tenant, userUuid, users: asked, isOpen, metadata, oldestFirst, ...filter }: SessionFilter,
  request: PageRequest,
): Promise<ListPage<Session>> {
  const own = principal.users;
  const users = own === null || asked == null ? (own ?? asked ?? null) : both(own, asked);
  const isNobody = users === null && own !== null;
  const wanted = {
    tenant: tenantAsked(principal, tenant, 'the sessions'),
    users,
    userUuid: userUuid == null ? null : validateUserUuid(userUuid),
    isOpen: isOpen ?? null,
    from: filter.from ?? null,
    environment: filter.environment ?? null,
    metadata: metadata == null ? null : validateMetadata(metadata, config),
  };
  return await readPage(request, parseIdCursor, async (after, limit) => {
    if (isNobody) return [];
    const range = { isOldestFirst: oldestFirst ?? false, after, limit };
    return await database.queries.sessionPage(wanted, range);
  });
}

interface WorkerFilter {
  readonly states?: readonly Worker['state'][] | null | undefined;
}

/**
 * The workers of this installation, the last requested first. An operator sees all of them. Any other principal sees
 * those that have or had a session of its tenant.
 * @throws BAD_USER_INPUT
 */
export async function workers(
  { database, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  { states }: WorkerFilter,
  request: PageRequest,
): Promise<ListPage<Worker>> {
  const filter = {
    poolId: pool.id,
    states: states ?? null,
    tenant: seesAllTenants(principal) ? null : principal.tenant,
  };
  return await readPage(request, parseIdCursor, (before, limit) =>
    database.queries.workerPage(filter, before, limit),
  );
}

/**
 * The worker with this id. Null if there is none in this installation, or if it has had no session that the principal
 * sees. An operator sees all of them.
 */
export async function worker(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  given: string,
): Promise<Worker | null> {
  const id = parseId<WorkerId>(given);
  const found = id === null ? null : await queries.worker(id);
  if (found?.poolId !== pool.id) return null;
  if (seesAllTenants(principal)) return found;
  const session = found.sessionId && (await queries.session(found.sessionId));
  return session && sees(principal, session) ? found : null;
}

/** All tokens, the newest first. @throws BAD_USER_INPUT */
export async function tokenPage(
  { database }: Pick<ServiceDeps, 'database'>,
  _principal: Principal,
  request: PageRequest,
): Promise<ListPage<UsedToken>> {
  return await readPage(request, parseIdCursor, async (before, limit) => {
    const found = await database.queries.tokenPage(before, limit);
    return found.map((item) => ({ item, cursor: item.id }));
  });
}

/** The environments of the installation. There are few, so each page reads all. @throws BAD_USER_INPUT */
export async function environmentPage(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  request: PageRequest,
): Promise<ListPage<EnvironmentView>> {
  const all = (await environments(deps, principal)).map((item) => ({
    item,
    cursor: item.environment.id,
  }));
  const indexOf = (after: string) => {
    const index = all.findIndex(({ cursor }) => cursor === after);
    return index === -1 ? null : index;
  };
  return await readPage(request, indexOf, async (index, limit) => {
    const start = index === null ? 0 : index + 1;
    return all.slice(start, start + limit);
  });
}

// One page of a list: its size, the cursor before it, and whether another page follows.

export interface PageRequest {
  /** The most items that the page may have. 100 by default. */
  readonly first?: number | null | undefined;
  /** The cursor after which the page begins. */
  readonly after?: string | null | undefined;
}

export interface ListPage<T> {
  readonly edges: readonly Edge<T>[];
  readonly hasNextPage: boolean;
}

/** Limits one read, and one list in an answer. */
export const MAX_PAGE_SIZE = 1_000;
export const DEFAULT_PAGE_SIZE = 100;

/** @throws BAD_USER_INPUT for a size out of range, or for a cursor that is not of this kind of list */
export async function readPage<T, C>(
  request: PageRequest,
  parse: (cursor: string) => C | null | Promise<C | null>,
  read: (cursor: C | null, limit: number) => Promise<Edge<T>[]>,
): Promise<ListPage<T>> {
  return await readBoundedPage(request, parse, async (cursor, limit) => ({
    edges: await read(cursor, limit),
    isCut: false,
  }));
}

/**
 * Like {@link readPage}, for a list that is also limited in bytes. If that limit ended the page, there is a next page,
 * too.
 * @throws BAD_USER_INPUT
 */
export async function readBoundedPage<T, C>(
  { first, after }: PageRequest,
  parse: (cursor: string) => C | null | Promise<C | null>,
  read: (cursor: C | null, limit: number) => Promise<BoundedPage<T>>,
): Promise<ListPage<T>> {
  const size = validateNumber('first', first ?? DEFAULT_PAGE_SIZE, { min: 1, max: MAX_PAGE_SIZE });
  const cursor = after == null ? null : await parse(after);
  if (after != null && cursor === null) {
    refuse('after', `must be a cursor of an earlier page, not ${quoted(after)}`, {});
  }
  // One more item is read than requested, to find out whether there is a next page.
  const { edges, isCut } = await read(cursor, size + 1);
  return { edges: edges.slice(0, size), hasNextPage: isCut || edges.length > size };
}

/** Parses the cursor of a list that is ordered by a number. */
export function parsePosition(cursor: string): number | null {
  return /^\d{1,15}$/.test(cursor) ? Number(cursor) : null;
}

/** Parses the cursor of a list that is ordered by id. */
function parseIdCursor(cursor: string): SessionId | WorkerId | null {
  return parseId<SessionId>(cursor);
}
