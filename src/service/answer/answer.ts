/**
 * The content of one answer to a caller. It reads what belongs to the requested executions (code, outputs, sessions,
 * workers), each only once, and counts the answer's size. Every protocol answers through it, so none holds more than
 * MAX_RESPONSE_BYTES of output in memory. Callers must pass it only executions and events from an operation, because
 * operations check the tenant.
 */

import { hash } from 'node:crypto';
import { createOneAtATime } from '../../async/oneAtATime.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionFiles } from '../../domain/executionFiles.ts';
import type { ContextId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import type { ExecutionsOf } from '../../events/queries/listQueries.ts';
import { type ContextView, contextViewOf, defaultView, viewsOf } from '../contexts/contexts.ts';
import type { EnvironmentView } from '../environments/environments.ts';
import { type ListPage, type PageRequest, readPage } from '../lists/page.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type AnswerBudget, createAnswerBudget } from './answerBudget.ts';
import { createAnswerLoaders } from './answerLoaders.ts';
import { type AnswerReads, createAnswerReads, type SessionTimes } from './answerReads.ts';
import { type OutputRange, validateOutputRange } from './outputRange.ts';
import { ASSEMBLED, type Assembled, errorOf, type PythonError } from './renderedText.ts';
import { type OutputAdvice, tooManyAtOnce } from './tooMuch.ts';

/**
 * The size of everything that it returns is counted, unless stated otherwise.
 * @throws DomainError BAD_USER_INPUT when the answer would be larger than MAX_RESPONSE_BYTES
 */
export interface Answer
  extends Pick<AnswerBudget, 'eventData' | 'eventList' | 'fileBytes' | 'listItems'> {
  /** Null if there is no such session, or if the principal does not see it. Not counted. */
  session(id: SessionId): Promise<Session | null>;
  /** The context in which an execution of the session ran. Null: the default one. Not counted. */
  context(sessionId: SessionId, id: ContextId | null): Promise<ContextView | null>;
  /** The open contexts of the session, the default one first. Empty once it has ended. Not counted. */
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
   * sessions are read at once. Its items are counted by `listItems`.
   * @throws BAD_USER_INPUT
   */
  executions(
    of: ExecutionsOf,
    filter: ExecutionsFilter,
    request: PageRequest,
  ): Promise<ListPage<Execution>>;
  /** The execution's code. Null if it cannot be shown. */
  code(execution: Execution): Promise<string | null>;
  /** Why the code is null. Null if it is not. Not counted. */
  codeUnavailable(execution: Execution): Promise<CodeUnavailable | null>;
  /** The wire by which it was requested. Null if its events were pruned, or do not name it. Not counted. */
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
   * The files that it changed in the home. Null while it is unfinished, if it never ran, or if its worker did not
   * report them.
   */
  files(execution: Execution): ExecutionFiles | null;
  /** Calls `read` when the reads of the answer's earlier files are done, so that few bytes are on the way at once. */
  inTurn<T>(read: () => Promise<T>): Promise<T>;
  /** All the execution's outputs so far within the range, in order, without the finish. Never only a part of them. */
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
  const whole = createAnswer({ reads, advice, maxBytes: deps.config.maxResponseBytes });
  const hides = principal.role === 'AUDITOR' && !deps.config.auditorSeesCode;
  return hides ? withoutContent(whole) : whole;
}

export interface AnswerDeps {
  readonly reads: AnswerReads;
  readonly advice: OutputAdvice;
  readonly maxBytes: number;
}

export function createAnswer({ reads, advice, maxBytes }: AnswerDeps): Answer {
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
