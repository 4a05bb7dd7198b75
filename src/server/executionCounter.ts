/** Counts how executions end, for `/metrics`. */
import type { EndStatus } from '../events/eventTypes.ts';
import type { WakeUps } from '../events/wakeUps.ts';

export interface ExecutionCounter {
  readonly ended: ReadonlyMap<EndStatus, number>;
  close(): void;
}

/** Counts from now on, whichever gateway the execution ran on. */
export function createExecutionCounter(wakeUps: Pick<WakeUps, 'onEvent'>): ExecutionCounter {
  const ended = new Map<EndStatus, number>();
  const close = wakeUps.onEvent(({ event }) => {
    if (event.type !== 'ExecutionFinished') return;
    const { status } = event.data;
    ended.set(status, (ended.get(status) ?? 0) + 1);
  });
  return { ended, close };
}
