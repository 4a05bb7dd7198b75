/** The lanes of one worker, and the lane of each unfinished execution. */
import type { RecordedEvent } from '../../domain/events.ts';
import { type Execution, type ExecutionEvent, evolveExecution } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { UnfinishedExecution } from '../../events/queries/executionQueries.ts';
import type { Cursor } from '../../events/store/eventStore.ts';
import type { ExecutionProgress } from '../../kernel/execution.ts';
import type { Job } from '../storing/batch.ts';
import { createLane, type Lane } from './lane.ts';
import { DEFAULT_LANE, type LaneKey } from './laneKey.ts';
import { joinedProgress, NO_PROGRESS, splitProgress, type WorkerProgress } from './progress.ts';

/** What is recorded when this gateway begins to act for the worker. */
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
  /** Whether the agent has begun the unfinished execution. */
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
   * event feed may still report each of them once (`events/wakeUps/createWakeUps.ts`). `add` ignores that report.
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
