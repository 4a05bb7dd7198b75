/**
 * Whoever computes for long makes way for whoever has just come: on CPUs that all are waiting for, a call of a few milliseconds
 * waits in line behind every busy worker at each of its steps, however little it needs (docs/decisions/0016-floods-make-way.md).
 *
 * ```
 *  full --an execution runs LONG_RUN_MS--> yielding --it ends--> full
 * ```
 * Best effort: what the engine does not do now changes nothing but who waits.
 */
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { ExecutionId, WorkerId } from '../domain/ids.ts';
import type { CpuShare } from '../runtime/runtime.ts';
import type { HeldWorker } from '../worker/heldWorker.ts';
import type { HeldWorkers } from '../worker/heldWorkers.ts';

/** What people wait for in front of a screen is over by then; and changing a share twice costs some 50 ms of one CPU. */
const LONG_RUN_MS = 500;

export interface CpuYieldDeps {
  readonly heldWorkers: Pick<HeldWorkers, 'get' | 'all'>;
  /** Of the worker's container. */
  readonly setCpuShare: (id: WorkerId, share: CpuShare) => Promise<void>;
  readonly logger: Logger;
}

export interface CpuYield {
  /** Is told every event, after the heldWorkers were. */
  apply(event: RecordedEvent): void;
  /** This gateway has reached the worker, which may be at work for a predecessor. */
  reached(id: WorkerId): void;
  close(): void;
}

interface Run {
  readonly held: Pick<HeldWorker, 'workerId'>;
  /** Until it has been a long one. */
  readonly timer: NodeJS.Timeout;
  /** Its worker's share is not full, or may not be. */
  hasYielded: boolean;
}

export function createCpuYield({ heldWorkers, setCpuShare, logger }: CpuYieldDeps): CpuYield {
  const runs = new Map<ExecutionId, Run>();
  const changing = new WeakMap<Run['held'], Promise<void>>();

  /** Else it is over, or another gateway's business. */
  const isHeld = (held: Run['held']) => heldWorkers.get(held.workerId) === held;

  /** One change after the other, so that the last one asked for is the one that stays. */
  function change(held: Run['held'], share: CpuShare): void {
    const before = changing.get(held) ?? Promise.resolve();
    const changed = before
      .then(() => setCpuShare(held.workerId, share))
      .catch((error: unknown) => {
        const details = { error: messageOf(error), workerId: held.workerId };
        logger.debug(details, 'the share of the CPUs could not be changed');
      });
    changing.set(held, changed);
  }

  function begin(id: ExecutionId, held: Run['held'], hasYielded: boolean): void {
    if (runs.has(id)) return;
    const timer = setTimeout(() => {
      run.hasYielded = true;
      if (isHeld(held)) change(held, 'yielding');
    }, LONG_RUN_MS);
    const run: Run = { held, timer, hasYielded };
    runs.set(id, run);
  }

  function end(id: ExecutionId): void {
    const run = runs.get(id);
    if (!run) return;
    runs.delete(id);
    clearTimeout(run.timer);
    if (run.hasYielded && isHeld(run.held)) change(run.held, 'full');
  }

  return {
    apply: ({ event, streamId }) => {
      const id = streamId as ExecutionId;
      if (event.type === 'ExecutionStarted') {
        const held = heldWorkers.all().find((each) => each.has(id));
        if (held) begin(id, held, false);
      } else if (event.type === 'ExecutionFinished') {
        end(id);
      }
    },
    reached: (workerId) => {
      const held = heldWorkers.get(workerId);
      // The predecessor may have had it yield.
      if (held?.running) begin(held.running, held, true);
    },
    close: () => {
      for (const { timer } of runs.values()) clearTimeout(timer);
      runs.clear();
    },
  };
}
