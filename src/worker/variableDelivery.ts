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
import type { Logger } from 'pino';
import { untilDone } from '../async/untilDone.ts';
import { messageOf } from '../domain/errors.ts';
import type { ExecutionId, SessionId } from '../domain/ids.ts';
import type { Session } from '../domain/session.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';

type Values = Readonly<Record<string, string>> | null;

/** Avoids a tight loop. If the agent does not answer for long, the worker's channel reports it. */
const RETRY_DELAY_MS = 250;

export interface VariableDeliveryDeps {
  readonly logger: Logger;
  readonly call: CallAgent;
  /** The session's variables. Null: the session has ended. */
  readonly read: (id: SessionId) => Promise<Values>;
  /** The execution's own variables. Null: it has ended. */
  readonly readOfExecution: (id: ExecutionId) => Promise<Values>;
  /** Called once, when the agent has the session's variables. */
  readonly onGiven: () => void;
}

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
