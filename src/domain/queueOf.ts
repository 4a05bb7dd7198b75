import type { Execution } from './execution.ts';
import { isCommand } from './executionOptions.ts';
import type { ContextId } from './ids.ts';

/** A queue of one session: all its commands, one of its contexts, or (null) its default context. */
export type Queue = 'commands' | ContextId | null;

/**
 * The queue of an execution. The executions of a queue have one limit together, and `stopOnError` cancels what is behind
 * it in its queue. In a context's queue, one waits for the other; commands only wait for a place. The database counts
 * by the same rule (`migrations/sql/cellhouse_commit.sql`).
 */
export function queueOf(execution: Pick<Execution, 'language' | 'contextId'>): Queue {
  return isCommand(execution) ? 'commands' : execution.contextId;
}
