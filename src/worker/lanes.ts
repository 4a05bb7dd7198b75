/** The lanes of one worker, and the lane of each unfinished execution. */

import type { RecordedEvent } from '../domain/events.ts';
import {
  type Execution,
  type ExecutionEvent,
  evolveExecution,
  type Queue,
  queueOf,
} from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ExecutionId } from '../domain/ids.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import type { Cursor } from '../events/store/eventStore.ts';
import { type ExecutionProgress, startProgress } from '../kernel/execution.ts';
import type { Job } from './batch.ts';

/**
 * The name of a lane. A lane runs one execution at a time, in the order of acceptance, and independently of other
 * lanes.
 */
export type LaneKey = string;

/** The lane of the default context, which every session has. */
export const DEFAULT_LANE: LaneKey = 'default';

/**
 * The lane that an execution is in. A cell is in the lane of its context. Each command has a lane of its own, because
 * it waits for no other execution.
 */
export function laneOf(execution: Pick<Execution, 'id' | 'language' | 'contextId'>): LaneKey {
  const queue = queueOf(execution);
  return queue === 'commands' ? execution.id : laneOfContext(queue);
}

/** @param id null: the default context */
export function laneOfContext(id: Exclude<Queue, 'commands'>): LaneKey {
  return id ?? DEFAULT_LANE;
}

// The state that the next holder of a worker needs to continue. It is stored with the cursor. The store does not
// interpret it.

interface LaneProgress {
  /** The progress of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /**
   * Whether a loss of variables is still to be reported: true from the replacement of the kernel until the first
   * execution that begins in the new kernel has ended. That execution reports the loss.
   */
  readonly hasUntoldLoss: boolean;
  /**
   * Whether the kernel was replaced while the current execution ran, so that the next execution is the first in the new
   * kernel.
   */
  readonly isReplacedUnderWay: boolean;
}

/** The default lane's progress is at the top level. */
interface WorkerProgress extends LaneProgress {
  /** The other lanes that have something to continue or to report. Left out if there are none. */
  readonly lanes?: Readonly<Record<LaneKey, LaneProgress>>;
}

/** A lane in which nothing was ever begun. */
const NO_PROGRESS: LaneProgress = {
  execution: null,
  hasUntoldLoss: false,
  isReplacedUnderWay: false,
};

/** The progress that the former holder stored, by lane. */
function splitProgress({ progress }: Pick<Cursor, 'progress'>) {
  const stored: WorkerProgress = (progress as WorkerProgress | null) ?? NO_PROGRESS;
  const { lanes = {}, ...ofDefault } = stored;
  return { ofDefault, ofOthers: Object.entries(lanes) };
}

/** The progress to store. If no other lane has progress, this is the default lane's progress, unchanged. */
function joinedProgress(
  ofDefault: LaneProgress,
  lanes: ReadonlyMap<LaneKey, { readonly progress: LaneProgress }>,
): WorkerProgress {
  let ofOthers: Record<LaneKey, LaneProgress> | undefined;
  for (const [key, { progress }] of lanes)
    if (key !== DEFAULT_LANE && !isEmpty(progress)) ofOthers = { ...ofOthers, [key]: progress };
  return ofOthers ? { ...ofDefault, lanes: ofOthers } : ofDefault;
}

/** Whether the lane has nothing to continue or to report, like a lane in which nothing has ever begun. */
function isEmpty({ execution, hasUntoldLoss }: LaneProgress): boolean {
  return execution === null && !hasUntoldLoss;
}

/** The execution's progress, if it is under way in the lane. */
function underWay({ execution }: LaneProgress, id: ExecutionId): ExecutionProgress | null {
  return execution?.executionId === id ? execution : null;
}

/** The stored progress of one execution; null if it never reached its kernel. */
export function progressIn(
  cursor: Pick<Cursor, 'progress'>,
  id: ExecutionId,
): ExecutionProgress | null {
  const { ofDefault, ofOthers } = splitProgress(cursor);
  for (const lane of [ofDefault, ...ofOthers.map(([, progress]) => progress)]) {
    const found = underWay(lane, id);
    if (found !== null) return found;
  }
  return null;
}

// The unfinished executions of one lane, in order, and the progress of the first one.
// ```
//  queued --begin--> running --remove--> gone
//    |                                    ^
//    +---------------remove---------------+
// ```

export interface Lane {
  /** The part of the lane's state that is stored with the cursor. */
  readonly progress: LaneProgress;
  readonly count: number;
  /** A copy of all jobs, in order. */
  all(): Job[];
  /** The job that has begun, if any. It is always the first one. */
  readonly running: Job | undefined;
  /** The job that may begin now: the first one, if it has not begun, and nothing holds the lane up. */
  readonly next: Job | undefined;
  add(job: Job): void;
  /** The job's progress. Null if it has not begun. */
  progressOf(job: Job): ExecutionProgress | null;
  /** Marks the job as begun. */
  begin(job: Job): void;
  advance(progress: ExecutionProgress): void;
  remove(job: Job): void;
  /**
   * Records that the kernel was replaced. Every unfinished execution reports the loss. If the first execution that
   * begins in the new kernel was accepted after the replacement, it reports the loss as well. Returns the execution
   * that ran in the old kernel, or null.
   */
  kernelReplaced(): ExecutionId | null;
  /** No job may begin until the returned function is called. */
  holdUp(): () => void;
  /**
   * Whether a new lane could take its place: it has no jobs, has nothing to continue or to report, and is not held up.
   */
  readonly isIdle: boolean;
}

function createLane(stored: LaneProgress): Lane {
  let jobs: Job[] = [];
  let progress = stored;
  let holds = 0;

  const progressOf = ({ execution }: Job) => underWay(progress, execution.id);
  const hasBegun = (job: Job) => (progressOf(job)?.startedAt ?? null) !== null;
  const reportLoss = () => {
    const [first] = jobs;
    if (progress.hasUntoldLoss && first && hasBegun(first)) first.stateLost = true;
  };

  return {
    get progress() {
      return progress;
    },
    get count() {
      return jobs.length;
    },
    all: () => [...jobs],
    get running() {
      const [first] = jobs;
      return first && progressOf(first) !== null ? first : undefined;
    },
    get next() {
      const [first] = jobs;
      return first && holds === 0 && progressOf(first) === null ? first : undefined;
    },
    add: (job) => {
      jobs.push(job);
      // The job may have begun under the former holder. Then only the cursor says that the job must report a loss.
      reportLoss();
    },
    progressOf,
    begin: (job) => {
      progress = { ...progress, execution: startProgress(job.execution.id) };
    },
    advance: (execution) => {
      progress = { ...progress, execution };
      reportLoss();
    },
    remove: (job) => {
      const { hasUntoldLoss, isReplacedUnderWay } = progress;
      if (progressOf(job) !== null)
        progress = {
          execution: null,
          hasUntoldLoss: hasBegun(job) ? isReplacedUnderWay : hasUntoldLoss,
          isReplacedUnderWay: false,
        };
      jobs = jobs.filter((each) => each !== job);
    },
    kernelReplaced: () => {
      for (const job of jobs) job.stateLost = true;
      const [first] = jobs;
      const isReplacedUnderWay = first !== undefined && hasBegun(first);
      progress = { ...progress, hasUntoldLoss: true, isReplacedUnderWay };
      return isReplacedUnderWay ? first.execution.id : null;
    },
    holdUp: () => {
      let isHeld = true;
      holds += 1;
      return () => {
        if (isHeld) holds -= 1;
        isHeld = false;
      };
    },
    get isIdle() {
      return jobs.length === 0 && holds === 0 && isEmpty(progress);
    },
  };
}

/** The state from which this gateway begins to act for the worker. */
export interface LanesStart {
  readonly cursor: Pick<Cursor, 'progress'>;
  /** In the order of acceptance. */
  readonly unfinished: readonly UnfinishedExecution[];
  readonly laneOf: (execution: Execution) => LaneKey;
  /** When the lane's kernel was last replaced. Null: never in this session. */
  readonly kernelRestartedAt: (lane: LaneKey) => Date | null;
}

export interface Lanes {
  /** The progress to store with the cursor. */
  readonly progress: WorkerProgress;
  /** The default lane comes first. */
  all(): Iterable<Lane>;
  readonly defaultLane: Lane;
  /** The unfinished executions of all lanes. */
  jobs(): Job[];
  /** The jobs that have begun. */
  running(): Job[];
  countIn(key: LaneKey): number;
  /** The lanes of all unfinished commands, in the order of acceptance. */
  readonly ofCommands: ReadonlySet<Lane>;
  /** Whether no command may begin now ({@link Lanes.holdUp}). */
  readonly areCommandsHeldUp: boolean;
  /** Nothing that waits for this job may begin until the returned function is called. */
  holdUp(job: Job): () => void;
  /** The lane of this name. Undefined: the lane has nothing left to continue or to report. */
  at(key: LaneKey): Lane | undefined;
  /** Like {@link Lanes.at}, but creates the lane if it does not exist. */
  made(key: LaneKey): Lane;
  /** Forgets a lane without jobs, and any loss that it was still to report. Never forgets the default lane. */
  forget(key: LaneKey): void;
  find(id: string): Job | undefined;
  /** The lane that the unfinished execution is in. */
  laneOf(id: string): Lane | undefined;
  /**
   * Adds an execution, and returns its lane. Null: the execution was read before the event feed reported it, so it is
   * not added again. It may have ended since, and must not be sent again: the agent ignores a msg_id that it knows, so
   * no answer would come.
   */
  add(next: UnfinishedExecution): Lane | null;
  /** Makes {@link Lanes.add} ignore an execution that ends here before the event feed has reported it. */
  ignore(id: ExecutionId): void;
  /** The job's progress. Null if it has not begun. */
  progressOf(job: Job): ExecutionProgress | null;
  /** Whether the agent has reported that the unfinished execution began. It is not enough that its code was sent. */
  hasBegun(id: ExecutionId): boolean;
  remove(job: Job): void;
  /** Applies an event that somebody else recorded, so that the next commit is decided on the current version. */
  fold(recorded: RecordedEvent): void;
}

export function createLanes({ cursor, unfinished, laneOf, kernelRestartedAt }: LanesStart): Lanes {
  const { ofDefault, ofOthers } = splitProgress(cursor);
  const defaultLane = createLane(ofDefault);
  const lanes = new Map<LaneKey, Lane>([[DEFAULT_LANE, defaultLane]]);
  for (const [key, progress] of ofOthers) lanes.set(key, createLane(progress));
  const places = new Map<string, { readonly job: Job; readonly lane: Lane }>();
  const ofCommands = new Set<Lane>();
  /** How many ends of commands must be stored before another command may begin. */
  let commandHolds = 0;
  /**
   * The executions that were read from the database before the event feed reported them, most of them at the start. The
   * event feed may still report each of them once (`events/wakeUps/wakeUps.ts`). `add` ignores that report.
   */
  const read = new Set<ExecutionId>(unfinished.map(({ execution }) => execution.id));

  /** Returns the lane of this name. If it must create one, it first forgets all idle lanes except the default lane. */
  function made(key: LaneKey): Lane {
    const known = lanes.get(key);
    if (known) return known;
    for (const [each, lane] of lanes) if (lane !== defaultLane && lane.isIdle) lanes.delete(each);
    const lane = createLane(NO_PROGRESS);
    lanes.set(key, lane);
    return lane;
  }

  function holdUpCommands(): () => void {
    let isHeld = true;
    commandHolds += 1;
    return () => {
      if (isHeld) commandHolds -= 1;
      isHeld = false;
    };
  }

  function put(job: Job, key: LaneKey): Lane {
    const lane = made(key);
    places.set(job.execution.id, { job, lane });
    lane.add(job);
    if (isCommand(job.execution)) ofCommands.add(lane);
    return lane;
  }

  for (const each of unfinished) {
    const key = laneOf(each.execution);
    put(takenOver(each, kernelRestartedAt(key)), key);
  }

  return {
    get progress() {
      return joinedProgress(defaultLane.progress, lanes);
    },
    defaultLane,
    all: () => lanes.values(),
    jobs: () => [...lanes.values()].flatMap((lane) => lane.all()),
    running: () => {
      const jobs: Job[] = [];
      for (const { running } of lanes.values()) if (running) jobs.push(running);
      return jobs;
    },
    countIn: (key) => lanes.get(key)?.count ?? 0,
    ofCommands,
    get areCommandsHeldUp() {
      return commandHolds > 0;
    },
    holdUp: (job) =>
      isCommand(job.execution)
        ? holdUpCommands()
        : (places.get(job.execution.id)?.lane.holdUp() ?? (() => undefined)),
    at: (key) => lanes.get(key),
    made,
    forget: (key) => {
      if (key !== DEFAULT_LANE) lanes.delete(key);
    },
    find: (id) => places.get(id)?.job,
    laneOf: (id) => places.get(id)?.lane,
    add: (next) => {
      const { execution, lastSeq } = next;
      if (read.delete(execution.id)) return null;
      const nextSeq = lastSeq + 1;
      return put(
        { ...codeOf(next), execution, isTakenOver: false, nextSeq, stateLost: false },
        laneOf(execution),
      );
    },
    ignore: (id) => {
      read.add(id);
    },
    progressOf: (job) => places.get(job.execution.id)?.lane.progressOf(job) ?? null,
    hasBegun: (id) => {
      const place = places.get(id);
      return (place?.lane.progressOf(place.job)?.startedAt ?? null) !== null;
    },
    remove: (job) => {
      const lane = places.get(job.execution.id)?.lane;
      lane?.remove(job);
      if (lane) ofCommands.delete(lane);
      places.delete(job.execution.id);
    },
    fold: ({ streamId, version, event }) => {
      const job = places.get(streamId)?.job;
      if (job?.execution.version === version - 1)
        job.execution = evolveExecution(job.execution, event as ExecutionEvent);
    },
  };
}

/**
 * The job of an execution that was read at the start. The kernel may have been replaced since the execution was
 * accepted.
 */
function takenOver(unfinished: UnfinishedExecution, kernelRestartedAt: Date | null): Job {
  const { execution, lastSeq } = unfinished;
  const restartedAt = kernelRestartedAt?.getTime() ?? 0;
  const stateLost = restartedAt > execution.requestedAt.getTime();
  return {
    ...codeOf(unfinished),
    execution,
    isTakenOver: true,
    nextSeq: lastSeq + 1,
    stateLost,
  };
}

/** The parts of an unfinished execution that are sent to the agent. */
function codeOf({
  code,
  userExpressions,
}: UnfinishedExecution): Pick<Job, 'code' | 'userExpressions'> {
  return { code, ...(userExpressions && { userExpressions }) };
}
