/**
 * Sends code to the worker's agent when the code is due: in each lane one execution at a time, in the order of
 * acceptance. Each command has a lane of its own, and at most `maxCommands` of them run. The values of environment
 * variables are read before the code is sent.
 */

import type { Logger } from 'pino';
import { untilDone } from '../async/untilDone.ts';
import { messageOf } from '../domain/errors.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ExecutionId, SessionId } from '../domain/ids.ts';
import type { Session } from '../domain/session.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import type { ExecuteMessage } from '../kernel/execution.ts';
import type { Job } from './batch.ts';
import type { Lane, Lanes } from './lanes.ts';
import type { WorkerContexts } from './workerState.ts';

export interface SendingDeps {
  readonly lanes: Lanes;
  readonly contexts: Pick<WorkerContexts, 'mayRun' | 'namedIn'>;
  /** Whether the agent is connected, and was not restarted. */
  readonly isLinked: () => boolean;
  /** Whether code may be sent: the agent is linked, and it has the variables of the session. */
  readonly maySend: () => boolean;
  readonly send: (request: ExecuteMessage) => void;
  readonly valuesOf: VariableDelivery['valuesOf'];
  /** Whether an interrupt of the execution waits for the agent's answer. */
  readonly isInterruptPending: (id: ExecutionId) => boolean;
  readonly interruptGraceMs: number;
  /** How many commands may run at the same time. */
  readonly maxCommands: number;
}

export interface Sending {
  /**
   * Sends the code that is due in all lanes. Called when the agent is connected, and when it has received the session's
   * variables.
   */
  goOn(): void;
  /** Like {@link Sending.goOn}, for one lane. Called when the kernel of the lane's context is ready. */
  goOnIn(lane: Lane): void;
  /**
   * Begins the lane's next execution, if one is due. If the lane is empty, it also begins commands that wait, until
   * `maxCommands` of them run.
   */
  beginNext(lane: Lane): void;
  /** Stops holding back the execution's code. Returns whether it was held back until now. */
  endHoldBack(id: ExecutionId): boolean;
}

export function createSending(deps: SendingDeps): Sending {
  const {
    lanes,
    contexts,
    isLinked,
    maySend,
    isInterruptPending,
    valuesOf,
    interruptGraceMs: graceMs,
    maxCommands,
  } = deps;
  /**
   * The executions whose code is held back. Either the values of the execution's environment variables are still being
   * read, or an interrupt is pending. In the second case, the former holder may have sent the code already. The agent's
   * answer to the interrupt shows whether the agent has it.
   */
  const heldBack = new Set<ExecutionId>();

  function send(job: Job): void {
    const { id, options } = job.execution;
    if (isInterruptPending(id)) heldBack.add(id);
    else if (!options?.environmentVariableNames) sendNow(job, {});
    else if (!heldBack.has(id)) {
      heldBack.add(id);
      void sendWithValues(job);
    }
  }

  async function sendWithValues(job: Job): Promise<void> {
    const { id } = job.execution;
    const environment = await valuesOf(id);
    // The agent's answer to the interrupt decides whether the execution is cancelled (`operations.ts`).
    if (isInterruptPending(id)) return;
    const isWanted = heldBack.delete(id);
    // If there are no values, the execution has ended or this gateway no longer acts for the worker. If the agent is
    // disconnected, `goOn` sends the code later.
    if (isWanted && environment !== null && isLinked() && isDue(job)) sendNow(job, { environment });
  }

  function sendNow(job: Job, given: Pick<ExecuteMessage, 'environment'>): void {
    const { execution, code, userExpressions } = job;
    const { id: msgId, timeoutMs, maxOutputBytes, options } = execution;
    const { workingDirectory, allowInput, pty, silent, storeHistory } = options ?? {};
    deps.send({
      msgId,
      code,
      timeoutMs,
      graceMs,
      maxOutputBytes,
      ...contexts.namedIn(execution),
      ...(isCommand(execution) && { isCommand: true }),
      ...(workingDirectory !== undefined && { workingDirectory }),
      ...(allowInput && { allowInput }),
      ...(pty && { pty }),
      ...(silent && { silent }),
      ...(storeHistory === false && { storeHistory }),
      ...(userExpressions && { userExpressions }),
      ...given,
    });
  }

  const isDue = ({ execution }: Job) => maySend() && contexts.mayRun(execution);

  /**
   * Whether one more command may begin. The running commands are nearly always the first ones, so the loop visits few
   * lanes.
   */
  function hasPlace(): boolean {
    if (lanes.areCommandsHeldUp) return false;
    let places = maxCommands;
    for (const { running } of lanes.ofCommands) {
      if (running) places -= 1;
      if (places <= 0) return false;
    }
    return true;
  }

  function begin(lane: Lane): void {
    const { next } = lane;
    if (!next || !isLinked() || (lanes.ofCommands.has(lane) && !hasPlace())) return;
    const isSent = isDue(next);
    // The former holder may have sent the code of this execution already. Then messages about the execution may arrive
    // before its code may be sent from here. So the execution begins now, without sending its code.
    if (!isSent && !next.isTakenOver) return;
    lane.begin(next);
    if (isSent) send(next);
  }

  function beginNext(lane: Lane): void {
    begin(lane);
    if (lane.count > 0) return;
    for (const waiting of lanes.ofCommands) {
      if (!hasPlace()) return;
      begin(waiting);
    }
  }

  function goOnIn(lane: Lane): void {
    const { running } = lane;
    // The former holder may have died before it sent the code, so the code is sent again. The agent ignores a msg_id
    // that it knows.
    if (!running) beginNext(lane);
    else if (isDue(running)) send(running);
  }

  return {
    goOn: () => {
      if (!isLinked()) return;
      for (const lane of lanes.all()) goOnIn(lane);
    },
    goOnIn,
    beginNext,
    endHoldBack: (id) => heldBack.delete(id),
  };
}

// The environment variables of the session, which the agent needs before any code.

type Values = Readonly<Record<string, string>> | null;

/** Avoids a tight loop. If the agent does not answer for a long time, the worker's channel reports it. */
const RETRY_DELAY_MS = 250;

interface VariableDeliveryDeps {
  readonly logger: Logger;
  readonly call: CallAgent;
  /** The session's variables. Null: the session has ended. */
  readonly read: (id: SessionId) => Promise<Values>;
  /** The execution's own variables. Null: it has ended. */
  readonly readOfExecution: (id: ExecutionId) => Promise<Values>;
  /** Called once, when the agent has the session's variables. */
  readonly onGiven: () => void;
}

/**
 * Gives the environment variables of the worker's session to its agent, before any code is sent. The agent keeps them
 * for all its kernels. Each new holder of the worker gives them again, because it is not recorded whether the former
 * holder did.
 *
 * ```
 *  nothing to give --session with variables--> giving --answered--> given
 * ```
 * An execution may have variables of its own, which are sent with its code. The agent does not keep those.
 */
export interface VariableDelivery {
  /** Whether code may be sent: the agent has the variables, or there are none. */
  readonly isDone: boolean;
  /** Begins, if the session has variables. Call it once for the worker's session. */
  begin(session: Session): void;
  /**
   * Reads the values of an execution's own variables, and retries until that succeeds. Null: the execution has ended,
   * or `close` was called.
   */
  valuesOf(id: ExecutionId): Promise<Values>;
  /** Stops trying. The next holder of the worker gives the variables. Idempotent. */
  close(): void;
}

export function createVariableDelivery(deps: VariableDeliveryDeps): VariableDelivery {
  const { logger, call, read, readOfExecution, onGiven } = deps;
  const closing = new AbortController();
  let isDone = true;

  async function give(id: SessionId): Promise<void> {
    const variables = await read(id);
    // The session has ended, so no code will be sent.
    if (variables === null || closing.signal.aborted) return;
    await call('variables', { variables });
    if (closing.signal.aborted) return;
    isDone = true;
    onGiven();
  }

  /** Retries the attempt until it succeeds. Null: the delivery was closed first. */
  async function persistently<T>(what: object, attempt: () => Promise<T>): Promise<T | null> {
    return await untilDone(closing.signal, attempt, (error) => {
      const details = { error: messageOf(error), ...what };
      logger.warn(details, 'environment variables could not be given to an agent; trying again');
      return RETRY_DELAY_MS;
    });
  }

  return {
    get isDone() {
      return isDone;
    },
    begin: ({ id, environmentVariableNames }) => {
      if (environmentVariableNames.length === 0) return;
      isDone = false;
      void persistently({ sessionId: id }, () => give(id));
    },
    valuesOf: async (executionId) => {
      const values = await persistently({ executionId }, () => readOfExecution(executionId));
      return closing.signal.aborted ? null : values;
    },
    close: () => closing.abort(),
  };
}
