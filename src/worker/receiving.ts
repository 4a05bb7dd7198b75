import type { Ending } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ContextId } from '../domain/ids.ts';
import { receive } from '../kernel/execution.ts';
import type { KernelMessage, StatusMessage } from '../kernel/frames/messages.ts';
import type { ContextNews } from './contexts/contextNews.ts';
import { endingOf } from './endings.ts';
import type { InputDelivery } from './input/inputDelivery.ts';
import type { Lane } from './lanes/lane.ts';
import type { Lanes } from './lanes/lanes.ts';
import type { Sending } from './sending.ts';
import { addOutput, type Job, segmentOf } from './storing/batch.ts';
import type { Writer } from './storing/writer.ts';
import type { WorkerSession } from './workerSession.ts';

export interface ReceivingDeps {
  readonly lanes: Lanes;
  readonly writer: Pick<Writer, 'batch' | 'added'>;
  readonly session: Pick<WorkerSession, 'state'>;
  /** Takes the job out of its lane, and adds its end to the next commit. */
  readonly finish: (job: Job, ending: Ending, at: Date) => void;
  readonly sending: Pick<Sending, 'beginNext'>;
  readonly input: Pick<InputDelivery, 'begun'>;
  readonly contextNews: Pick<ContextNews, 'receive' | 'kernelReplaced'>;
}

/** Handles the worker's messages in order: finds the lane of each message, and adds its effects to the next commit. */
export function createReceiving(deps: ReceivingDeps): (message: KernelMessage) => void {
  const { lanes, writer, session, sending, finish, input, contextNews } = deps;

  function kernelReplaced({ at, reason, contextId }: StatusMessage): void {
    if (contextId !== null) {
      contextNews.kernelReplaced(contextId as ContextId, { at, reason });
      return;
    }
    // Before there is a session, no user has variables that could be lost.
    const executionId = session.state && lanes.defaultLane.kernelReplaced();
    writer.batch.kernelRestarts.push({ at: new Date(at), reason: reason ?? 'died', executionId });
    writer.added('output');
  }

  /**
   * Begins a command that the former holder has sent, even if all places for commands are taken here. Places may become
   * free in another order here than at the former holder. The agent's message shows that the command runs.
   */
  function begunBefore(lane: Lane): Job | undefined {
    const { next } = lane;
    if (!next?.isTakenOver || !isCommand(next.execution)) return undefined;
    lane.begin(next);
    return next;
  }

  function ofExecution(message: KernelMessage): void {
    const { parentId } = message;
    const lane = parentId === null ? lanes.defaultLane : lanes.laneOf(parentId);
    const job = lane && (lane.running ?? begunBefore(lane));
    const progress = job ? lane.progressOf(job) : null;
    if (!lane || !job || progress === null) return;
    const { maxOutputBytes } = job.execution;
    const of = { maxOutputBytes, isCommand: isCommand(job.execution) };
    const step = receive(progress, message, of);
    lane.advance(step.progress);
    const at = new Date(message.at);
    for (const output of step.outputs) addOutput(writer.batch, job, output, at);
    if (step.started) {
      const { executionCount, pid } = step;
      segmentOf(writer.batch, job).start = {
        at,
        ...(executionCount !== undefined && { executionCount }),
        ...(pid !== undefined && { pid }),
      };
      input.begun(job.execution);
    }
    if (step.done !== null) {
      finish(job, endingOf(step.done, job), at);
      sending.beginNext(lane);
    } else if (step.outputs.length > 0) writer.added('output');
    else if (step.started) writer.added('start');
  }

  return (message) => {
    writer.batch.seq = message.seq;
    if (message.type === 'status' && message.state === 'restarting') kernelReplaced(message);
    else if (message.type === 'context') contextNews.receive(message);
    else ofExecution(message);
  };
}
