/**
 * Whoever computes for long makes way for whoever has just come: on CPUs that all are waiting for, a call of a few milliseconds
 * waits in line behind every busy worker at each of its steps, however little it needs (docs/decisions/0016-floods-make-way.md).
 *
 * ```
 *  full --an execution runs LONG_RUN_MS--> yielding --it ends--> full
 * ```
 * Best effort: what the engine does not do now changes nothing but who waits. A gateway cannot know what the one before it did to
 * a worker, so a worker that it took over gets its full share with the next request.
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
  readonly hosts: WorkerHosts;
  /** Of the worker's container. */
  readonly setCpuShare: (id: WorkerId, share: CpuShare) => Promise<void>;
  readonly logger: Logger;
}

export interface CpuYield {
  /** Is told every event, after the hosts were. */
  apply(event: RecordedEvent): void;
  close(): void;
}

interface Run {
  readonly host: WorkerHost;
  timer: NodeJS.Timeout | null;
}

export function createCpuYield({ hosts, setCpuShare, logger }: CpuYieldDeps): CpuYield {
  /** By the execution's id. */
  const runs = new Map<string, Run>();
  /** Those whose share is full for sure, or will be when their run has ended. */
  const known = new WeakSet<WorkerHost>();
  const changing = new WeakMap<WorkerHost, Promise<void>>();

  /** Else it is over, or another gateway's business. */
  const isHeld = (host: WorkerHost) => hosts.get(host.workerId) === host;

  /** One change after the other, so that the last one asked for is the one that stays. */
  function change(host: WorkerHost, share: CpuShare): void {
    known.add(host);
    const before = changing.get(host) ?? Promise.resolve();
    const changed = before
      .then(() => setCpuShare(host.workerId, share))
      .catch((error: unknown) => {
        known.delete(host);
        logger.debug(
          { error: messageOf(error), workerId: host.workerId },
          'the share of the CPUs could not be changed',
        );
      });
    changing.set(host, changed);
  }

  function begin(executionId: ExecutionId): void {
    const host = hosts.all().find((each) => each.has(executionId));
    if (!host) return;
    const run: Run = { host, timer: null };
    run.timer = setTimeout(() => {
      run.timer = null;
      if (isHeld(host)) change(host, 'yielding');
    }, LONG_RUN_MS);
    runs.set(executionId, run);
  }

  function end(executionId: string): void {
    const run = runs.get(executionId);
    runs.delete(executionId);
    if (run?.timer) clearTimeout(run.timer);
    else if (run && isHeld(run.host)) change(run.host, 'full');
  }

  return {
    apply: ({ event, streamId }) => {
      if (event.type === 'WorkerReady') {
        const host = hosts.get(streamId as WorkerId);
        if (host) known.add(host);
      } else if (event.type === 'ExecutionRequested') {
        const host = hosts.get(event.data.workerId);
        if (host && !known.has(host)) change(host, 'full');
      } else if (event.type === 'ExecutionStarted') begin(streamId as ExecutionId);
      else if (event.type === 'ExecutionFinished') end(streamId);
    },
    close: () => {
      for (const { timer } of runs.values()) if (timer) clearTimeout(timer);
      runs.clear();
    },
  };
}
