/**
 * Lowers the CPU share of workers with long-running executions, so that short executions finish quickly. Without this,
 * a call of a few milliseconds waits at each of its steps until every busy worker has had its turn on the CPU
 * (docs/decisions/0016-floods-make-way.md).
 *
 * ```
 *  full --an execution runs LONG_RUN_MS--> yielding --the last such execution ends--> full
 * ```
 * Only cells count. A command can run for a day, and would slow the cells of its own session all that time.
 *
 * This is best effort: if the engine fails to change a share, only the waiting times differ.
 */
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { ExecutionId, WorkerId } from '../domain/ids.ts';
import type { CpuShare } from '../runtime/runtime.ts';
import type { HeldWorker } from '../worker/heldWorker.ts';
import type { HeldWorkers } from '../worker/heldWorkers.ts';

/**
 * An execution that runs longer than this counts as long. Shorter ones do not change the share, because the two changes
 * (down and up again) cost some 50 ms of CPU time.
 */
const LONG_RUN_MS = 500;

export interface CpuYieldDeps {
  readonly heldWorkers: Pick<HeldWorkers, 'get' | 'all'>;
  /** Changes the CPU share of the worker's container. */
  readonly setCpuShare: (id: WorkerId, share: CpuShare) => Promise<void>;
  readonly logger: Logger;
}

export interface CpuYield {
  /** Call this for every event, after `heldWorkers.apply`. */
  apply(event: RecordedEvent): void;
  /** Call this when the worker's agent is connected. The worker may be running code that another gateway has sent. */
  reached(id: WorkerId): void;
  close(): void;
}

interface Run {
  readonly held: Pick<HeldWorker, 'workerId'>;
  /** Fires when the run counts as long. */
  readonly timer: NodeJS.Timeout;
  /**
   * Whether the worker's share was reduced: by this gateway, or possibly by the gateway that held the worker before.
   */
  hasYielded: boolean;
}

export function createCpuYield({ heldWorkers, setCpuShare, logger }: CpuYieldDeps): CpuYield {
  const runs = new Map<ExecutionId, Run>();
  const changing = new WeakMap<Run['held'], Promise<void>>();

  /** If false, the worker has ended or another gateway acts for it. */
  const isHeld = (held: Run['held']) => heldWorkers.get(held.workerId) === held;

  /** Makes one change after the other, so that the last requested share remains. */
  function change(held: Run['held'], share: CpuShare): void {
    const before = changing.get(held) ?? Promise.resolve();
    const changed = before
      .then(() => setCpuShare(held.workerId, share))
      .catch((error: unknown) => {
        const details = { error: messageOf(error), workerId: held.workerId };
        logger.debug(details, 'could not change the CPU share of a worker');
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

  /** Whether another long execution runs in the worker. */
  const isYieldingFor = (held: Run['held']) =>
    [...runs.values()].some((each) => each.held === held && each.hasYielded);

  function end(id: ExecutionId): void {
    const run = runs.get(id);
    if (!run) return;
    runs.delete(id);
    clearTimeout(run.timer);
    if (run.hasYielded && isHeld(run.held) && !isYieldingFor(run.held)) change(run.held, 'full');
  }

  return {
    apply: ({ event, streamId }) => {
      const id = streamId as ExecutionId;
      if (event.type === 'ExecutionStarted') {
        const held = heldWorkers.all().find((each) => each.hasCell(id));
        if (held) begin(id, held, false);
      } else if (event.type === 'ExecutionFinished') {
        end(id);
      }
    },
    reached: (workerId) => {
      const held = heldWorkers.get(workerId);
      // The gateway that held the worker before may have reduced its share.
      for (const id of held?.runningCells ?? []) if (held) begin(id, held, true);
    },
    close: () => {
      for (const { timer } of runs.values()) clearTimeout(timer);
      runs.clear();
    },
  };
}
