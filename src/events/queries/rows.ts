import type { Execution } from '../../domain/execution.ts';

/** A row of `executions`: the state, and the position of its request, which is not part of the state. */
export type ExecutionRow = Execution & { readonly requestedPosition: number };

export function toExecution({ requestedPosition: _, ...execution }: ExecutionRow): Execution {
  return execution;
}

/** The only row, or null. */
export function firstOrNull<T>(rows: readonly T[]): T | null {
  return rows[0] ?? null;
}
