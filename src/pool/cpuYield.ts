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
import { messageOf } from '../errors.ts';
import type { RecordedEvent } from '../events/eventTypes.ts';
import type { ExecutionId, WorkerId } from '../ids.ts';
import type { CpuShare } from './runtime.ts';
import type { WorkerHost } from './workerHost.ts';
import type { WorkerHosts } from './workerHosts.ts';

/** What people wait for in front of a screen is over by then; and changing a share twice costs some 50 ms of one CPU. */
const LONG_RUN_MS = 500;

export interface CpuYieldDeps {
  readonly hosts: Pick<WorkerHosts, 'get' | 'all'>;
  /** Of the worker's container. */
  readonly setCpuShare: (id: WorkerId, share: CpuShare) => Promise<void>;
  readonly logger: Logger;
}

export interface CpuYield {
  /** Is told every event, after the hosts were. */
  apply(event: RecordedEvent): void;
  /** This gateway has reached the worker, which may be at work for a predecessor. */
  reached(id: WorkerId): void;
  close(): void;
}

interface Run {
  readonly host: Pick<WorkerHost, 'workerId'>;
  /** Until it has been a long one. */
  readonly timer: NodeJS.Timeout;
  /** Its worker's share is not full, or may not be. */
  hasYielded: boolean;
}

export function createCpuYield({ hosts, setCpuShare, logger }: CpuYieldDeps): CpuYield {
  const runs = new Map<ExecutionId, Run>();
  const changing = new WeakMap<Run['host'], Promise<void>>();

  /** Else it is over, or another gateway's business. */
  const isHeld = (host: Run['host']) => hosts.get(host.workerId) === host;

  /** One change after the other, so that the last one asked for is the one that stays. */
  function change(host: Run['host'], share: CpuShare): void {
    const before = changing.get(host) ?? Promise.resolve();
    const changed = before
      .then(() => setCpuShare(host.workerId, share))
      .catch((error: unknown) => {
        const details = { error: messageOf(error), workerId: host.workerId };
        logger.debug(details, 'the share of the CPUs could not be changed');
      });
    changing.set(host, changed);
  }

  function begin(id: ExecutionId, host: Run['host'], hasYielded: boolean): void {
    if (runs.has(id)) return;
    const timer = setTimeout(() => {
      run.hasYielded = true;
      if (isHeld(host)) change(host, 'yielding');
    }, LONG_RUN_MS);
    const run: Run = { host, timer, hasYielded };
    runs.set(id, run);
  }

  function end(id: ExecutionId): void {
    const run = runs.get(id);
    if (!run) return;
    runs.delete(id);
    clearTimeout(run.timer);
    if (run.hasYielded && isHeld(run.host)) change(run.host, 'full');
  }

  return {
    apply: ({ event, streamId }) => {
      const id = streamId as ExecutionId;
      if (event.type === 'ExecutionStarted') {
        const host = hosts.all().find((each) => each.has(id));
        if (host) begin(id, host, false);
      } else if (event.type === 'ExecutionFinished') {
        end(id);
      }
    },
    reached: (workerId) => {
      const host = hosts.get(workerId);
      // The predecessor may have had it yield.
      if (host?.running) begin(host.running, host, true);
    },
    close: () => {
      for (const { timer } of runs.values()) clearTimeout(timer);
      runs.clear();
    },
  };
}
