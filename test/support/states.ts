/** States that result from events, without a database. */
import { type Context, evolveContext } from '../../src/domain/context.ts';
import { type Execution, evolveExecution } from '../../src/domain/execution.ts';
import { evolveSession, type Session } from '../../src/domain/session.ts';
import { evolveWorker, type Worker } from '../../src/domain/worker.ts';
import {
  becomesIdle,
  contextCreated,
  executionRequested,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';

export function idleWorker(): Worker {
  const append = workerRequested();
  if (append.stream !== 'worker') throw new Error('Not a worker.');
  return existing([...append.events, ...becomesIdle()].reduce<Worker | null>(evolveWorker, null));
}

export function openSession(over: Parameters<typeof sessionOpened>[0] = {}): Session {
  const append = sessionOpened(over);
  if (append.stream !== 'session') throw new Error('Not a session.');
  return existing(append.events.reduce<Session | null>(evolveSession, null));
}

/** A context that was just created. */
export function openContext(over: Parameters<typeof contextCreated>[1] = {}): Context {
  const append = contextCreated(openSession(), over);
  if (append.stream !== 'context') throw new Error('Not a context.');
  return existing(append.events.reduce<Context | null>(evolveContext, null));
}

export function queuedExecution(over: Parameters<typeof executionRequested>[0] = {}): Execution {
  const append = executionRequested(over);
  if (append.stream !== 'execution') throw new Error('Not an execution.');
  return existing(append.events.reduce<Execution | null>(evolveExecution, null));
}

function existing<T>(state: T | null): T {
  if (state === null) throw new Error('No event made a state.');
  return state;
}
