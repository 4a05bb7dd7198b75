/**
 * A worker in a session, and gateways that act for it. The worker is recorded in a database, and a test scripts its
 * agent.
 */
import { pino } from 'pino';
import { afterEach, beforeEach, expect } from 'vitest';
import { createInOrder } from '../../src/async/inOrder.ts';
import type { Context } from '../../src/domain/context.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { Execution, InterruptSignal } from '../../src/domain/execution.ts';
import type { ExecutionOptions } from '../../src/domain/executionOptions.ts';
import type { ContextId, ExecutionId, SessionId } from '../../src/domain/ids.ts';
import { createMessageCounts } from '../../src/domain/messageCounts.ts';
import type { CloseReason, KernelRestartReason, Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { deleteContext, requestContextRestart } from '../../src/service/contexts/contexts.ts';
import { requestKernelRestart } from '../../src/service/contexts/kernels.ts';
import { createFinishWaiters } from '../../src/service/execute/finishWaiters.ts';
import { requestInterrupt } from '../../src/service/execute/interrupt.ts';
import {
  type InputRequest,
  MAX_INPUT_CALLS,
  sendInput,
} from '../../src/service/execute/sendInput.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import type { HeldWorker } from '../../src/worker/heldWorker.ts';
import { createHeldWorkers } from '../../src/worker/heldWorkers.ts';
import { DEFAULT_LANE, type LaneKey, laneOf } from '../../src/worker/lanes.ts';
import {
  commitOne,
  contextCreated,
  executionRequested,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from './database.ts';
import { frame, okReply, status, verdict } from './frames.ts';
import { type ScriptedAgent, startScriptedAgent } from './scriptedAgent.ts';

export interface ScriptedWorker {
  readonly agent: ScriptedAgent;
  readonly worker: Worker;
  readonly session: Session;
  /**
   * Records the request of an execution in the worker's session.
   * @param lane see {@link laneOfKey}
   */
  request(database: Database, lane?: LaneKey): Promise<Execution>;
  /** Records the request of an execution in a context of the session. */
  requestIn(database: Database, contextId: ContextId): Promise<Execution>;
  /** Records the request of a command in the session. */
  requestCommand(database: Database): Promise<Execution>;
  /** Records the request of an execution with any options. */
  requestWith(database: Database, options: ExecutionOptions): Promise<Execution>;
  /** Records the request of an execution with environment variables of its own, and with any options. */
  requestWithValues(
    database: Database,
    values: Readonly<Record<string, string>>,
    options?: ExecutionOptions,
  ): Promise<Execution>;
  /** Records the request of an execution that may get input. */
  requestWaiting(database: Database, language?: 'BASH'): Promise<Execution>;
  /** Lets the code ask for input. */
  askInput(id: ExecutionId, prompt: string, password?: boolean): void;
  /** Records the creation of a context in the session. */
  createContext(database: Database, over?: Parameters<typeof contextCreated>[1]): Promise<Context>;
  /** Ids of the executions whose code the agent received, in order, with repetitions. */
  sent(): string[];
  /** Resolves when the agent has received the code of that execution. */
  untilSent(id: ExecutionId): Promise<void>;
  /** Lets the agent begin the execution. */
  begin(id: ExecutionId): void;
  /**
   * Lets the agent report the end of the execution. The report also has the fields in `more`. If the execution never
   * began, the report says that the agent took it out of its queue.
   */
  finish(
    id: ExecutionId,
    outcome: 'finished' | 'interrupted' | 'timeout' | 'kernel_died' | 'out_of_memory',
    more?: Record<string, unknown>,
  ): void;
  /** Lets the agent report that it replaced its kernel, or that of a context. */
  replaceKernel(reason: KernelRestartReason, contextId?: ContextId): void;
  /** Lets the agent report the new state of a context. */
  tellContext(contextId: ContextId, state: 'ready' | 'ended' | 'failed'): void;
  /** Records the end of the session. */
  closeSession(database: Database, reason: CloseReason): Promise<void>;
  close(): Promise<void>;
}

export interface ScriptedSession {
  /** Called while the worker is idle, before the session is opened. */
  readonly whileIdle?: (
    idle: Pick<ScriptedWorker, 'worker' | 'agent' | 'replaceKernel'>,
  ) => Promise<void>;
  /** The session's environment variables. */
  readonly variables?: Readonly<Record<string, string>>;
}

export async function startScriptedWorker(
  { store }: Database,
  { whileIdle, variables }: ScriptedSession = {},
): Promise<ScriptedWorker> {
  const agent = await startScriptedAgent();
  const sessionId = newId<SessionId>();
  const requested = await commitOne<'worker'>(store, workerRequested());
  const at = new Date().toISOString();
  const idle = await commitOne<'worker'>(
    store,
    onWorker(
      requested,
      { type: 'WorkerStarted', data: { containerId: 'c', socketPath: agent.socketPath, at } },
      { type: 'WorkerReady', data: { readyMs: 1, at } },
    ),
  );
  const replaceKernel = (reason: KernelRestartReason, contextId?: ContextId) => {
    const content = { execution_state: 'restarting', reason, context_id: contextId };
    agent.append((seq) => frame('status', content, { seq, at: Date.now() }));
  };
  await whileIdle?.({ worker: idle, agent, replaceKernel });
  const assigned = onWorker(idle, { type: 'WorkerAssigned', data: { sessionId, at } });
  const worker = await commitOne<'worker'>(store, assigned);
  const user = { userUuid: sessionId, workerId: worker.id, sessionId };
  const options = variables && {
    metadata: {},
    idleTimeoutMs: null,
    maxLifeMs: null,
    environmentVariableNames: Object.keys(variables),
  };
  const session = await commitOne<'session'>(
    store,
    sessionOpened({ ...user, ...(options && { options }) }),
    variables && { sessionVariables: { sessionId, values: variables } },
  );
  const sent = () =>
    agent.received.flatMap((each) => {
      const { msg_type: type, msg_id: id } = (each.header ?? {}) as Record<string, string>;
      return type === 'execute_request' && id ? [id] : [];
    });
  const begun = new Set<ExecutionId>();
  return {
    agent,
    worker,
    session,
    request: (database, lane = DEFAULT_LANE) => {
      const idempotencyKey = lane === DEFAULT_LANE ? null : lane;
      return commitOne<'execution'>(
        database.store,
        executionRequested({ ...user, idempotencyKey }),
      );
    },
    requestIn: (database, contextId) =>
      commitOne<'execution'>(database.store, executionRequested({ ...user, contextId })),
    requestCommand: (database) =>
      commitOne<'execution'>(database.store, executionRequested({ ...user, language: 'BASH' })),
    requestWith: (database, options) =>
      commitOne<'execution'>(database.store, executionRequested({ ...user, ...options })),
    requestWithValues: (database, values, options) => {
      const executionId = newId<ExecutionId>();
      const environmentVariableNames = Object.keys(values).sort();
      return commitOne<'execution'>(
        database.store,
        executionRequested({ ...user, executionId, environmentVariableNames, ...options }),
        { executionVariables: { executionId, values } },
      );
    },
    requestWaiting: (database, language) =>
      commitOne<'execution'>(
        database.store,
        executionRequested({ ...user, allowInput: true, ...(language && { language }) }),
      ),
    askInput: (parent, prompt, password = false) => {
      const content = { prompt, password };
      agent.append((seq) =>
        frame('cellhouse_input_request', content, { parent, seq, at: Date.now() }),
      );
    },
    createContext: (database, over) =>
      commitOne<'context'>(database.store, contextCreated(session, over)),
    sent,
    untilSent: async (id) => {
      while (!sent().includes(id)) await agent.receivedAtLeast(agent.received.length + 1);
    },
    begin: (parent) => {
      begun.add(parent);
      agent.append((seq) => status('busy', { parent, seq, at: Date.now() }));
    },
    finish: (parent, outcome, more) => {
      const at = Date.now();
      const metadata = verdict(outcome, { started_at: begun.has(parent) ? at : null, ...more });
      agent.append((seq) => status('idle', { parent, seq, at }));
      agent.append((seq) => okReply({ parent, seq, at, metadata }));
    },
    replaceKernel,
    tellContext: (id, state) => {
      const content = { context_id: id, state, kernel_generation: 1, ready_ms: 1 };
      agent.append((seq) => frame('cellhouse_context', content, { seq, at: Date.now() }));
    },
    closeSession: async ({ store, queries }, reason) => {
      const open = await queries.session(sessionId);
      if (!open) throw new Error('There is no session.');
      const data = { reason, at: new Date().toISOString() };
      await commitOne(store, onSession(open, { type: 'SessionClosed', data }));
    },
    close: () => agent.close(),
  };
}

/** How many commands of a session run at the same time. */
export const MAX_COMMANDS = 2;

/** The most bytes of input that an execution may be sent. */
export const MAX_INPUT_BYTES = 200_000;

/** In these workers, an execution that has an idempotency key is in the lane of that name. */
const laneOfKey = (execution: Execution): LaneKey => execution.idempotencyKey ?? laneOf(execution);

/** The parts of a gateway that act for workers and take users' requests. */
export function actingGateway(database: Database) {
  const heldWorkers = createHeldWorkers({
    database,
    logger: pino({ level: 'silent' }),
    messageCounts: createMessageCounts(),
    now: () => new Date(),
    interruptGraceMs: 1_000,
    maxCommands: MAX_COMMANDS,
    laneOf: laneOfKey,
    followers: () => 0,
    egress: null,
    addressOf: ({ socketPath }) => socketAddress(socketPath ?? ''),
    onSuspect: () => undefined,
    onOpen: () => undefined,
  });
  const finishWaiters = createFinishWaiters(database.queries);
  database.wakeUps.onEvent((event) => {
    heldWorkers.apply(event);
    finishWaiters.apply(event);
  });
  const deps = {
    ...{ database, finishWaiters, config: { interruptGraceMs: 1_000 } },
    now: () => new Date(),
  };
  const input = {
    inputCalls: createInOrder(MAX_INPUT_CALLS),
    config: { maxInputBytes: MAX_INPUT_BYTES },
    // This gateway knows no open sessions, so input does not count as a use of a session.
    sessions: { get: () => null },
    sessionUses: { use: async () => false },
  };
  return {
    database,
    adopt: async (worker: Worker): Promise<HeldWorker> => {
      const host = await heldWorkers.adopt(worker);
      if (!host) throw new Error('Another gateway has the worker.');
      return host;
    },
    /** Passes an event to the gateway, as the event feed does after the event is recorded. */
    hear: (event: RecordedEvent): void => heldWorkers.apply(event),
    interrupt: (execution: Execution, signal: InterruptSignal | null = null) =>
      requestInterrupt(deps, execution, signal),
    sendInput: (
      { id: executionId, tenant }: Execution,
      request: Omit<InputRequest, 'executionId'>,
    ) => sendInput({ ...deps, ...input }, holderOf(tenant), { executionId, ...request }),
    restartKernel: (session: Session) => requestKernelRestart(deps, session),
    restartContext: (context: Context) => requestContextRestart(deps, context),
    deleteContext: ({ tenant, userUuid }: Session, id: ContextId) =>
      deleteContext(deps, holderOf(tenant), userUuid, id),
    /** Ends the gateway almost like a kill: it stores and sends nothing more. But its leases are free at once. */
    die: async () => {
      await heldWorkers.close(0);
      await database.close();
    },
  };
}

export type ActingGateway = ReturnType<typeof actingGateway>;

/** The holder of a token for this tenant and no other. */
function holderOf(tenant: string): Principal {
  return { ...AUTH_TOKEN_HOLDER, role: 'TENANT', tenant };
}

/** Made afresh for each test. */
export interface TwoGateways {
  /** Adopts the worker when a test says so. */
  readonly holder: ActingGateway;
  readonly other: ActingGateway;
  readonly scripted: ScriptedWorker;
}

/**
 * Two acting gateways and a worker with a scripted agent, fresh for each test of the file that calls this, on one
 * database. `beforeTest` gets them.
 */
export async function useTwoGateways(beforeTest: (fresh: TwoGateways) => void) {
  const db = await useDatabase();
  /** A gateway that only reads. */
  const observer = await db.open();
  const execution = (id: ExecutionId) => observer.queries.execution(id);
  let fresh: TwoGateways;

  beforeEach(async () => {
    fresh = {
      holder: actingGateway(await db.open()),
      other: actingGateway(await db.open()),
      scripted: await startScriptedWorker(observer),
    };
    beforeTest(fresh);
  });
  afterEach(async () => {
    await fresh.holder.die();
    await fresh.other.die();
    await fresh.scripted.close();
  });

  return {
    db,
    observer,
    execution,
    untilStatus: (id: ExecutionId, status: string) =>
      expect.poll(async () => (await execution(id))?.status).toBe(status),
  };
}
