/** Implements what the schema calls: validates, then sends each call to the part that does it. */
import type { Config } from '../config/config.ts';
import { DomainError } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import { type ExecutionId, type NewId, parseId, type SessionId } from '../domain/ids.ts';
import type { Database } from '../events/database.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { Pool } from '../pool/pool.ts';
import { acceptExecution } from './execute/acceptExecution.ts';
import { executeBatch } from './execute/executeBatch.ts';
import type { FinishWaiters } from './execute/finishWaiters.ts';
import { requestInterrupt } from './execute/requestInterrupt.ts';
import { requestKernelRestart } from './execute/requestKernelRestart.ts';
import { validateRequest, validateUserUuid } from './execute/validateRequest.ts';
import { followPoolStatus } from './followPoolStatus.ts';
import { createHistory } from './lists/history.ts';
import { createLists, createMany } from './lists/lists.ts';
import type { OpenSessions } from './openSessions.ts';
import { followOutput, followSessionOutput } from './output/followOutput.ts';
import type { SharedOutput } from './output/sharedOutput.ts';
import type { ExecuteRequest, InterpreterService, Principal } from './service.ts';
import { untilInitialized } from './untilInitialized.ts';

export interface InterpreterServiceDeps {
  readonly config: Config;
  readonly database: Database;
  readonly pool: Pool;
  readonly sessions: OpenSessions;
  readonly finishWaiters: FinishWaiters;
  readonly sharedOutput: SharedOutput;
  readonly newId: NewId;
  readonly now: () => Date;
}

export function createInterpreterService(deps: InterpreterServiceDeps): InterpreterService {
  const { config, database, pool } = deps;
  const { queries } = database;
  const interruptDeps = { ...deps, interruptGraceMs: config.interruptGraceMs };

  const findExecution = async (principal: Principal, text: string): Promise<Execution | null> => {
    const id = parseId<ExecutionId>(text);
    const execution = id === null ? null : await queries.execution(id);
    return execution?.tenant === principal.tenant ? execution : null;
  };
  const submit: InterpreterService['submit'] = async (
    principal,
    request,
    onAccepting = () => undefined,
  ) => {
    const valid = validateRequest(request, config);
    await untilInitialized(pool);
    return await acceptExecution({ ...deps, onAccepting }, principal.tenant, valid);
  };

  const execute: InterpreterService['execute'] = async (principal, request, onAccepting) => {
    let unfollow = () => {};
    try {
      const execution = await submit(principal, request, (id) => {
        onAccepting?.(id);
        unfollow();
        unfollow = deps.finishWaiters.follow(id);
      });
      return await deps.finishWaiters.wait(execution, new AbortController().signal);
    } finally {
      unfollow();
    }
  };

  return {
    history: createHistory({ queries, poolId: pool.id }),
    lists: createLists({ queries, config, poolId: pool.id }),
    many: createMany({ queries, config }),
    submit,
    execute,
    executeBatch: (principal, request, { stopping, onAccepting }) =>
      executeBatch(
        {
          config,
          execute: (cell) => execute(principal, cell, onAccepting),
          canFollowIn: (cell, sessionId) => canFollowIn(queries, principal, cell, sessionId),
          stopping,
        },
        request,
      ),
    interrupt: async (principal, id) => {
      const execution = await findExecution(principal, id);
      if (!execution) throw notFound('execution', id);
      return execution.finishedAt ? execution : await requestInterrupt(interruptDeps, execution);
    },
    restartKernel: async (principal, userUuid) => {
      const session = await queries.openSession(principal.tenant, validateUserUuid(userUuid));
      const restarted = session && (await requestKernelRestart(deps, session));
      if (!restarted) throw notFound('open session of user', userUuid);
      return restarted;
    },
    release: async (principal, userUuid) => {
      const session = await queries.openSession(principal.tenant, validateUserUuid(userUuid));
      return session === null ? null : await pool.closeSession(session, 'released');
    },
    session: (principal, userUuid) =>
      queries.lastSession(principal.tenant, validateUserUuid(userUuid)),
    execution: findExecution,
    followOutput: async (principal, id, after) => {
      if (after < 0) throw badAfter(`is ${after}; it must not be negative`);
      const execution = await findExecution(principal, id);
      if (!execution) throw notFound('execution', id);
      return followOutput(deps, execution.id, after);
    },
    followSessionOutput: (principal, userUuid, after) =>
      followSessionOutput(deps, principal.tenant, validateUserUuid(userUuid), after),
    poolStatus: () => pool.status(),
    followPoolStatus: () => followPoolStatus(pool),
  };
}

/** Asks the database: another gateway may have ended the session a moment ago. */
async function canFollowIn(
  queries: Pick<Queries, 'openSession' | 'idempotencyKey'>,
  { tenant }: Principal,
  { userUuid, idempotencyKey: key }: ExecuteRequest,
  sessionId: SessionId,
): Promise<boolean> {
  const open = await queries.openSession(tenant, userUuid);
  if (open?.id === sessionId) return true;
  return typeof key === 'string' && (await queries.idempotencyKey(tenant, userUuid, key)) !== null;
}

function notFound(what: string, id: string): DomainError {
  return new DomainError('NOT_FOUND', `There is no ${what} ${JSON.stringify(id.slice(0, 200))}.`);
}

function badAfter(what: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `after ${what}.`, { field: 'after' });
}
