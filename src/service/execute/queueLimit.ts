/** How many executions may be unfinished: one limit for each context, and one for all commands of a session. */
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { ContextId } from '../../domain/ids.ts';
import { queueOf } from '../../domain/queueOf.ts';
import type { Session } from '../../domain/session.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { ValidRequest } from './validateRequest.ts';

type QueueLimitDeps = Pick<ServiceDeps, 'config' | 'pool'>;

/** How many unfinished executions may share the request's limit, including the request itself. */
export function maxUnfinishedOf(deps: QueueLimitDeps, request: ValidRequest): number {
  return runningAtOnce(deps, request) + deps.config.maxQueuedExecutions;
}

/** How many unfinished executions may run at the same time. The others wait. */
function runningAtOnce({ config }: QueueLimitDeps, request: ValidRequest): number {
  return isCommand(request) ? config.maxCommands : 1;
}

/** How many unfinished executions that share the request's limit are known to this gateway. */
export function unfinishedBeside(
  { pool }: QueueLimitDeps,
  { workerId }: Session,
  { language }: ValidRequest,
  contextId: ContextId | null,
): number {
  const queue = queueOf({ language, contextId });
  return pool.heldWorkers.get(workerId)?.unfinishedIn(queue) ?? 0;
}

/** @param unfinished how many there are without the request */
export function queueFull(
  deps: QueueLimitDeps,
  request: ValidRequest,
  unfinished: number,
): DomainError {
  const limit = deps.config.maxQueuedExecutions;
  const queued = unfinished - runningAtOnce(deps, request);
  const what = isCommand(request) ? 'session' : 'context of the session';
  return new DomainError(
    'QUEUE_FULL',
    `This ${what} already has ${queued} queued ${isCommand(request) ? 'commands' : 'executions'}, and at most ${limit} are allowed. Wait until some have finished.`,
    { limit, queued, retryAfterMs: RETRY_AFTER_MS },
  );
}
