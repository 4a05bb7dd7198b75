/**
 * The content of one answer to a caller. It reads what belongs to the requested executions (code, outputs, sessions,
 * workers), each only once, and counts the answer's size. A protocol that does not read output page by page reads it
 * here, so no answer holds more than MAX_RESPONSE_BYTES of output in memory. Callers must pass it only executions and
 * events from an operation, because operations check the tenant.
 */

import { hash } from 'node:crypto';
import DataLoader from 'dataloader';
import { createOneAtATime } from '../../async/oneAtATime.ts';
import type { Context } from '../../domain/context.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import { jsonText } from '../../domain/exactJson.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionFiles } from '../../domain/executionFiles.ts';
import type {
  ContextId,
  EnvironmentId,
  ExecutionId,
  SessionId,
  WorkerId,
} from '../../domain/ids.ts';
import type { OutputItem, OutputPage } from '../../domain/output.ts';
import { expiryOf, type Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Edge, ExecutionsOf, ExecutionsPart } from '../../events/queries/listQueries.ts';
import { type ContextView, contextViewOf, defaultView, viewsOf } from '../contexts/contexts.ts';
import { type EnvironmentView, environmentViewOf } from '../environments/environments.ts';
import { type ListPage, type PageRequest, positionOf, readPage } from '../lists/lists.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import {
  ASSEMBLED,
  type Assembled,
  errorOf,
  type OutputAdvice,
  type OutputRange,
  type Piece,
  type PythonError,
  tooLarge,
  tooManyAtOnce,
  validateOutputRange,
} from './renderedText.ts';

/**
 * Everything that these methods return counts towards MAX_RESPONSE_BYTES, unless stated otherwise.
 * @throws DomainError BAD_USER_INPUT when the answer would be larger than MAX_RESPONSE_BYTES
 */
export interface Answer
  extends Pick<AnswerBudget, 'eventData' | 'eventList' | 'fileBytes' | 'listItems'> {
  /** Null if there is no such session, or if the principal does not see it. Not counted. */
  session(id: SessionId): Promise<Session | null>;
  /** The context in which an execution of the session ran. Null: the default one. Not counted. */
  context(sessionId: SessionId, id: ContextId | null): Promise<ContextView | null>;
  /**
   * The open contexts of the session, the default one first. Empty once the session has ended. The caller counts them
   * with `listItems`.
   */
  contexts(session: Session): Promise<readonly ContextView[]>;
  /** Null if there is no such worker. Not counted. */
  worker(id: WorkerId): Promise<Worker | null>;
  /** The version of the worker's environment. Null: the worker has no environment. Not counted. */
  environmentOf(worker: Worker): Promise<EnvironmentView | null>;
  /** When the session ends by itself. Not counted. */
  sessionTimes(session: Session): SessionTimes;
  /** When the session was last used; its idle time starts then. Not counted. */
  lastActiveAt(session: Session): Promise<Date>;
  /**
   * A page of the executions of a session, or of one of its contexts, the last accepted first. The pages of many
   * sessions are read at once. The caller counts the items with `listItems`.
   * @throws BAD_USER_INPUT
   */
  executions(
    of: ExecutionsOf,
    filter: ExecutionsFilter,
    request: PageRequest,
  ): Promise<ListPage<Execution>>;
  /** The execution's code. Null if it cannot be shown. */
  code(execution: Execution): Promise<string | null>;
  /** Why `code` is null. Null if the code can be shown. Not counted. */
  codeUnavailable(execution: Execution): Promise<CodeUnavailable | null>;
  /**
   * The wire by which the execution was requested. Null if its events were pruned, or do not name the wire. Not
   * counted.
   */
  via(execution: Execution): Promise<Principal['door'] | null>;
  /**
   * A text made of all the execution's outputs so far. The outputs are read once, at the first call for the execution.
   */
  assembled<Name extends keyof Assembled>(
    execution: Execution,
    name: Name,
  ): Promise<Assembled[Name]>;
  /** The exception that ended the execution. Null unless its status is ERROR. */
  error(execution: Execution): Promise<PythonError | null>;
  /**
   * The files that the execution changed in the home. Null while it is unfinished, if it never ran, or if its worker
   * did not report them.
   */
  files(execution: Execution): ExecutionFiles | null;
  /** Calls `read` when the reads of the answer's earlier files are done, so that few bytes are in transit at once. */
  inTurn<T>(read: () => Promise<T>): Promise<T>;
  /** The execution's outputs so far within the range, in order and complete, but without the finish. */
  outputs(execution: Execution, range: OutputRange): Promise<readonly OutputItem[]>;
}

/** Which executions of a session or context are listed. Null or left out: all. */
interface ExecutionsFilter {
  readonly language?: Execution['language'] | null | undefined;
  readonly statuses?: readonly Execution['status'][] | null | undefined;
}

/** Why code cannot be shown: it was pruned or forgotten, or the principal may not see it. */
type CodeUnavailable = 'PRUNED' | 'HIDDEN';

const SHA256_OF_NOTHING = hash('sha256', '');

/** Deleted code is read as empty. Only a cell of a notebook can be empty by itself. */
function isGone({ codeSha256 }: Execution, code: string | null): boolean {
  return code === '' && codeSha256 !== SHA256_OF_NOTHING;
}

/**
 * Begins an answer to the principal.
 * @param advice how to get output in parts over this protocol, for the error of an answer that is too large
 */
export function answer(
  deps: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
  advice: OutputAdvice,
): Answer {
  const reads = createAnswerReads(deps, principal);
  const whole = createAnswer(reads, advice, deps.config.maxResponseBytes);
  const hides = principal.role === 'AUDITOR' && !deps.config.auditorSeesCode;
  return hides ? withoutContent(whole) : whole;
}

export function createAnswer(reads: AnswerReads, advice: OutputAdvice, maxBytes: number): Answer {
  const load = createAnswerLoaders(reads);
  const budget = createAnswerBudget(maxBytes, advice);
  const whole = new Map<Execution, Promise<readonly OutputItem[]>>();

  /** The outputs, including the finish. */
  async function readOutputs({ id }: Execution, after: number, limit: number | null) {
    const items = await load.outputs.load({ executionId: id, after, limit });
    if (!items) throw tooManyAtOnce(id, 'outputs', maxBytes, advice);
    return items;
  }

  function wholeOutput(execution: Execution): Promise<readonly OutputItem[]> {
    const known = whole.get(execution);
    if (known) return known;
    const reading = readOutputs(execution, 0, null);
    whole.set(execution, reading);
    return reading;
  }

  return {
    session: (id) => load.session.load(id),
    context: async (sessionId, id) => {
      if (id !== null) {
        const context = await load.context.load(id);
        return context && contextViewOf(context);
      }
      const session = await load.session.load(sessionId);
      return session && defaultView(session);
    },
    contexts: async (session) =>
      session.closedAt === null ? viewsOf(session, await load.openContexts.load(session.id)) : [],
    worker: (id) => load.worker.load(id),
    environmentOf: async ({ environmentId }) =>
      environmentId && (await load.environment.load(environmentId)),
    sessionTimes: reads.sessionTimes,
    lastActiveAt: (session) => load.lastActiveAt.load(session),
    executions: async (of, { language, statuses }, request) => {
      const filter = { language: language ?? null, statuses: statuses ?? null };
      const placeOf = (cursor: string) => load.place.load(cursor);
      return await readPage(request, placeOf, async (before, limit) => [
        ...(await load.executions.load({ ...of, ...filter, before, limit })),
      ]);
    },
    code: async (execution) => {
      const code = await load.code.load(execution.id);
      if (code === null) throw tooManyAtOnce(execution.id, 'code', maxBytes, advice);
      return isGone(execution, code) ? null : budget.charge(execution, 'code', code);
    },
    codeUnavailable: async (execution) =>
      isGone(execution, await load.code.load(execution.id)) ? 'PRUNED' : null,
    via: ({ id }) => load.via.load(id),
    assembled: async (execution, name) =>
      budget.charge(execution, name, ASSEMBLED[name](await wholeOutput(execution))),
    error: async (execution) => {
      if (execution.status !== 'ERROR') return null;
      return budget.charge(execution, 'error', errorOf(execution, await wholeOutput(execution)));
    },
    files: (execution) => budget.charge(execution, 'files', execution.files),
    outputs: async (execution, range) => {
      const { after, limit } = validateOutputRange(range);
      if (limit === 0) return [];
      const isWhole = after === 0 && limit === null;
      const items = await (isWhole ? wholeOutput(execution) : readOutputs(execution, after, limit));
      const page = items.filter(({ output }) => output.kind !== 'finish');
      for (const { output } of page) budget.charge(execution, 'outputs', output);
      return page;
    },
    inTurn: createOneAtATime(),
    fileBytes: budget.fileBytes,
    eventData: budget.eventData,
    eventList: budget.eventList,
    listItems: budget.listItems,
  };
}

type Data = RecordedEvent['event']['data'];

const NOTHING: Assembled = {
  stdout: '',
  stderr: '',
  stdoutRendered: '',
  resultText: null,
  resultBase64: null,
};

/**
 * The answer as an auditor sees it while AUDITOR_SEES_CODE is off: that something happened, when and by whom, but not
 * what it was. Code, output and input are not even read. Names of files are content, too.
 */
export function withoutContent(answer: Answer): Answer {
  return {
    ...answer,
    code: async () => null,
    codeUnavailable: async () => 'HIDDEN',
    assembled: async (_execution, name) => NOTHING[name],
    outputs: async () => [],
    files: () => null,
    error: async ({ status, errorName }) =>
      status === 'ERROR' ? { name: errorName ?? 'Error', value: '', traceback: [] } : null,
    eventData: (event) => {
      const { type, data } = event.event;
      const hidden = HIDDEN[type];
      return hidden === undefined
        ? answer.eventData(event)
        : answer.eventData(without(event, hidden, data));
    },
  };
}

/** The fields of event data that have code, output, input or names of files. */
const HIDDEN: { readonly [Type in RecordedEvent['event']['type']]?: readonly string[] } = {
  ExecutionRequested: ['code', 'userExpressions'],
  ExecutionFinished: ['errorValue', 'files'],
  InputSent: ['text', 'base64'],
  FileChangeRequested: ['path', 'toPath'],
  FileWritten: ['path'],
  FileMoved: ['path', 'toPath'],
  FileDeleted: ['path'],
};

function without(event: RecordedEvent, hidden: readonly string[], data: Data): RecordedEvent {
  const shown = Object.entries(data).filter(([name]) => !hidden.includes(name));
  return { ...event, event: { ...event.event, data: Object.fromEntries(shown) } } as RecordedEvent;
}

// The reads for an answer. Each reads any number of things of one kind at once.

/** Each function gives one value for each argument, in their order. */
export interface AnswerReads {
  /** Null if there is no such session, or if the principal does not see it. */
  sessions(ids: readonly SessionId[]): Promise<readonly (Session | null)[]>;
  /** Null if there is no such context. Default contexts are not among them. */
  contexts(ids: readonly ContextId[]): Promise<readonly (Context | null)[]>;
  /** The open contexts of each session, without the default one, oldest first. */
  openContexts(ids: readonly SessionId[]): Promise<readonly (readonly Context[])[]>;
  /** Null if there is no such worker. */
  workers(ids: readonly WorkerId[]): Promise<readonly (Worker | null)[]>;
  /** Null if there is no such version. */
  environments(ids: readonly EnvironmentId[]): Promise<readonly (EnvironmentView | null)[]>;
  /** The times at which the session ends by itself. Reads nothing. */
  sessionTimes(session: Session): SessionTimes;
  /** When each session was last used. */
  lastActiveAt(sessions: readonly Session[]): Promise<readonly Date[]>;
  /** Empty if the code was pruned. Null if it does not fit into MAX_RESPONSE_BYTES together with those before it. */
  codes(ids: readonly ExecutionId[]): Promise<readonly (string | null)[]>;
  /** The wire by which each execution was requested. Null if that is not recorded any more. */
  vias(ids: readonly ExecutionId[]): Promise<readonly (Principal['door'] | null)[]>;
  /** A page of executions for each list. @throws DomainError BAD_USER_INPUT if they are more than an answer may have */
  executions(lists: readonly ExecutionList[]): Promise<readonly Edge<Execution>[][]>;
  /** The position of the execution that a cursor names. Null: the cursor names none. */
  placeOf(cursor: string): Promise<number | null>;
  /** Null for a page that does not fit into MAX_RESPONSE_BYTES together with those before it. */
  outputs(pages: readonly OutputPage[]): Promise<readonly (readonly OutputItem[] | null)[]>;
}

/** A page of the executions of a session or of one of its contexts. */
interface ExecutionList extends ExecutionsOf, ExecutionsPart {}

/** When an open session ends by itself: its own times, or else those of the settings. */
interface SessionTimes {
  /** Null once the session has ended. */
  readonly expiresAt: Date | null;
  readonly idleTimeoutMs: number;
}

function createAnswerReads(
  { database: { queries }, config }: Pick<ServiceDeps, 'database' | 'config'>,
  principal: Principal,
): AnswerReads {
  const maxBytes = config.maxResponseBytes;
  return {
    sessions: async (ids) => {
      const sessions = byIds(ids, await queries.sessions(ids));
      return sessions.map((session) => (session && sees(principal, session) ? session : null));
    },
    sessionTimes: (session) => ({
      expiresAt: session.closedAt === null ? expiryOf(session, config.sessionMaxLifeMs) : null,
      idleTimeoutMs: session.idleTimeoutMs ?? config.sessionIdleTimeoutMs,
    }),
    contexts: async (ids) => byIds(ids, await queries.contexts(ids)),
    openContexts: async (ids) => {
      const contexts = await queries.openContexts(ids);
      return ids.map((id) => contexts.filter(({ sessionId }) => sessionId === id));
    },
    workers: async (ids) => byIds(ids, await queries.workers(ids)),
    environments: async (ids) => {
      const versions = await queries.environmentVersions(ids);
      return versions.map((version) => version && environmentViewOf(principal, version));
    },
    lastActiveAt: async (sessions) => {
      const times = await queries.lastActivity(sessions.map(({ id }) => id));
      return sessions.map(({ id, openedAt }) => later(openedAt, times.get(id) ?? null));
    },
    codes: async (ids) => {
      const codes = await queries.codes(ids, maxBytes);
      return ids.map((id) => codes.get(id) ?? (codes.has(id) ? null : ''));
    },
    vias: async (ids) => {
      const doors = await queries.doors(ids);
      return ids.map((id) => doors.get(id) ?? null);
    },
    executions: async (lists) => {
      const pages = new Map<ExecutionList, Edge<Execution>[]>();
      let left = MAX_LIST_ITEMS;
      // Usually there is one group, because all lists come from one field of the document.
      for (const group of groupsOf(lists)) {
        const [{ language, statuses, before, limit }] = group;
        const part = { language, statuses, before, limit };
        const found = await queries.executionPages(group, part, left + 1);
        left -= found.reduce((count, edges) => count + edges.length, 0);
        if (left < 0) throw tooManyItems();
        for (const [index, list] of group.entries()) pages.set(list, found[index] ?? []);
      }
      return lists.map((list) => pages.get(list) ?? []);
    },
    placeOf: (cursor) => positionOf({ queries }, principal, cursor),
    outputs: (pages) => queries.outputPages(pages, maxBytes),
  };
}

/** Groups the lists by filter and range, so that one query reads a whole group. No group is empty. */
function groupsOf(lists: readonly ExecutionList[]): [ExecutionList, ...ExecutionList[]][] {
  const groups = new Map<string, [ExecutionList, ...ExecutionList[]]>();
  for (const list of lists) {
    const { language, statuses, before, limit } = list;
    const key = JSON.stringify([language, statuses, before, limit]);
    const group = groups.get(key);
    if (group) group.push(list);
    else groups.set(key, [list]);
  }
  return [...groups.values()];
}

function byIds<Id extends string, T extends { readonly id: Id }>(
  ids: readonly Id[],
  things: readonly T[],
): (T | null)[] {
  const found = new Map(things.map((thing) => [thing.id, thing]));
  return ids.map((id) => found.get(id) ?? null);
}

function later(openedAt: Date, at: Date | null): Date {
  return at !== null && at > openedAt ? at : openedAt;
}

// Combines the single reads of an answer into one read for each kind.

/**
 * The loaders of one answer. One answer can be for several mutations, which run one after the other. So everything that
 * a mutation can change, such as sessions, contexts and outputs, is read anew for each mutation.
 */
interface AnswerLoaders {
  readonly session: DataLoader<SessionId, Session | null, string>;
  readonly context: DataLoader<ContextId, Context | null, string>;
  readonly openContexts: DataLoader<SessionId, readonly Context[], string>;
  readonly worker: DataLoader<WorkerId, Worker | null, string>;
  readonly environment: DataLoader<EnvironmentId, EnvironmentView | null>;
  readonly lastActiveAt: DataLoader<Session, Date>;
  readonly code: DataLoader<ExecutionId, string | null>;
  readonly via: DataLoader<ExecutionId, Principal['door'] | null>;
  readonly executions: DataLoader<ExecutionList, readonly Edge<Execution>[], string>;
  /** The position of the execution that a cursor names. */
  readonly place: DataLoader<string, number | null>;
  readonly outputs: DataLoader<OutputPage, readonly OutputItem[] | null, string>;
}

function createAnswerLoaders(reads: AnswerReads): AnswerLoaders {
  return {
    session: freshLoader(byId, reads.sessions),
    context: freshLoader(byId, reads.contexts),
    openContexts: freshLoader(byId, reads.openContexts),
    worker: freshLoader(byId, reads.workers),
    environment: new DataLoader(reads.environments),
    lastActiveAt: new DataLoader(reads.lastActiveAt),
    code: new DataLoader(reads.codes),
    via: new DataLoader(reads.vias),
    executions: freshLoader((list) => JSON.stringify(list), reads.executions),
    place: new DataLoader((cursors) => Promise.all(cursors.map(reads.placeOf))),
    outputs: freshLoader(
      ({ executionId, after, limit }) => `${executionId}:${after}:${limit}`,
      reads.outputs,
    ),
  };
}

/** Combines simultaneous requests into one read, with each key once. It caches nothing for later requests. */
function freshLoader<K, V>(
  keyOf: (key: K) => string,
  read: (keys: readonly K[]) => Promise<readonly V[]>,
): DataLoader<K, V, string> {
  const loader: DataLoader<K, V, string> = new DataLoader(
    (keys) => {
      loader.clearAll();
      return read(keys);
    },
    { cacheKeyFn: keyOf },
  );
  return loader;
}

const byId = (id: string) => id;

// Limits one answer, in bytes and in items of lists.

/** Ten full pages. An answer can contain several lists, and each has only its own limit. */
const MAX_LIST_ITEMS = 10_000;
/** A page of the default size, each item with its events. Each list of events costs a read. */
const MAX_EVENT_LISTS = 100;

interface AnswerBudget {
  /**
   * Counts the size of `value` as part of the answer, and returns it.
   * @throws DomainError BAD_USER_INPUT when the answer would be larger than MAX_RESPONSE_BYTES
   */
  charge<T>(execution: Execution, field: string, value: T): T;
  /** Counts the content of a file before it is read. @throws DomainError BAD_USER_INPUT like {@link charge} */
  fileBytes(path: string, field: string, count: number): void;
  /** Counts and returns an event's data. @throws DomainError BAD_USER_INPUT like {@link charge} */
  eventData(event: RecordedEvent): RecordedEvent['event']['data'];
  /**
   * Counts and returns the items of a page.
   * @throws DomainError BAD_USER_INPUT when all pages of the answer together have more than 10,000 items
   */
  listItems<T>(items: readonly T[]): readonly T[];
  /** Counts a list of the events of one thing. @throws DomainError BAD_USER_INPUT for more than 100 of them */
  eventList(): void;
}

function createAnswerBudget(maxBytes: number, advice: OutputAdvice): AnswerBudget {
  let bytes = 0;
  let itemCount = 0;
  let eventLists = 0;
  function charge<T>(piece: Piece, value: T): T {
    count(piece, Buffer.byteLength(jsonText(value) ?? ''));
    return value;
  }
  function count(piece: Piece, added: number): void {
    bytes += added;
    if (bytes > maxBytes) throw tooLarge(piece, maxBytes, advice);
  }

  return {
    charge: ({ id: executionId }, field, value) => charge({ field, executionId }, value),

    fileBytes: (path, field, added) => count({ field, path }, added),

    eventData: ({ event: { data }, metadata: { eventId } }) =>
      charge({ field: 'data', eventId }, data),

    listItems(items) {
      itemCount += items.length;
      if (itemCount > MAX_LIST_ITEMS) throw tooManyItems();
      return items;
    },

    eventList() {
      eventLists += 1;
      if (eventLists > MAX_EVENT_LISTS) throw tooManyEventLists();
    },
  };
}

function tooManyEventLists(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `One response may have the events of at most ${MAX_EVENT_LISTS} things. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_EVENT_LISTS },
  );
}

function tooManyItems(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    `The lists of one response may have at most ${MAX_LIST_ITEMS} items together. Ask for fewer at once (\`first\`).`,
    { field: 'first', limit: MAX_LIST_ITEMS },
  );
}
