import type { Execution } from './execution.ts';
import { isCommand } from './executionOptions.ts';
import type { ContextId } from './ids.ts';

/** A queue of one session: all its commands, one of its contexts, or (null) its default context. */
export type Queue = 'commands' | ContextId | null;

/**
 * The queue of an execution. All executions of a queue share one limit. `stopOnError` cancels the executions behind it
 * in its queue. The executions of a context run one after another. Commands wait only while too many of them run. The
 * database counts by the same rule (`migrations/sql/cellhouse_commit.sql`).
 */
export function queueOf(execution: Pick<Execution, 'language' | 'contextId'>): Queue {
  return isCommand(execution) ? 'commands' : execution.contextId;
}
