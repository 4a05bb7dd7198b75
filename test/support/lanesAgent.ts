import type { ExecutionId } from '../../src/domain/ids.ts';
import type { KernelMessage } from '../../src/kernel/frames/messages.ts';
import { DEFAULT_LANE, type LaneKey } from '../../src/worker/lanes.ts';
import { frame, messageIn, okReply, status, stream, verdict } from './frames.ts';

/** A step that requests a command names this lane. The command then runs in a lane of its own. */
export const COMMAND: LaneKey = 'a command';
/** How many commands run at the same time. */
export const MAX_COMMANDS = 2;
/** A report names one of these lanes if it is about the first, second ... of the running commands. */
export const PLACES: readonly LaneKey[] = Array.from({ length: MAX_COMMANDS }, (_, n) => `${n}`);

/** What happens next. */
export type Step =
  | {
      readonly type: 'request';
      readonly lane: LaneKey;
      readonly stopOnError?: boolean;
      /** The event feed reports it to the gateway only together with the next request that is not late. */
      readonly isLate?: boolean;
    }
  /** The agent reports `what` about the execution that it runs in the lane, if any. */
  | { readonly type: 'report'; readonly lane: LaneKey; readonly what: Report }
  /** The agent replaces the kernel of the lane. */
  | { readonly type: 'replace'; readonly lane: LaneKey };

/** `failure` is a reply whose outcome is a timeout. */
export type Report = 'busy' | 'output' | 'idle' | 'reply' | 'failure';

type Act = Exclude<Step, { type: 'request' }>;

export interface LanesAgent {
  /** The executions that ran in each lane, in order. */
  readonly ran: ReadonlyMap<LaneKey, readonly ExecutionId[]>;
  /** Sends code to the agent. @throws Error if the lane is occupied, or too many commands run */
  send(id: ExecutionId, lane: LaneKey): void;
  /** Carries out the step, and returns the message that the agent sends. Null: the agent has nothing to report. */
  report(act: Act, at: number): KernelMessage | null;
  /** Returns whether the agent has received the execution's code. If not, the agent will never run it. */
  interrupt(id: ExecutionId): boolean;
  /** Whether the execution has run, and the agent has sent its reply. */
  isOver(id: ExecutionId): boolean;
  /** All messages after this seq. */
  after(seq: number): KernelMessage[];
}

/** Runs one execution at a time in each lane, at most MAX_COMMANDS commands at a time, and nothing twice. */
export function createLanesAgent(): LanesAgent {
  const ran = new Map<LaneKey, ExecutionId[]>();
  const running = new Map<LaneKey, { readonly id: ExecutionId; readonly reported: Report[] }>();
  const interrupted = new Set<ExecutionId>();
  const log: { readonly seq: number; readonly message: KernelMessage }[] = [];

  const commands = () => [...running].flatMap(([lane, { id }]) => (lane === id ? [lane] : []));
  const placed = <S extends Act>(step: S): S =>
    PLACES.includes(step.lane)
      ? { ...step, lane: commands()[Number(step.lane)] ?? step.lane }
      : step;

  function frameOf(step: Act, at: number): string | null {
    const options = { seq: log.length + 1, at };
    if (step.type === 'replace') {
      const of = step.lane === DEFAULT_LANE ? {} : { context_id: step.lane };
      return frame('status', { execution_state: 'restarting', reason: 'died', ...of }, options);
    }
    const current = running.get(step.lane);
    const reported = step.what === 'failure' ? 'reply' : step.what;
    const isRepeated = reported !== 'output' && current?.reported.includes(reported);
    if (!current || isRepeated) return null;
    const { id: parent, reported: before } = current;
    before.push(reported);
    if (reported === 'reply') running.delete(step.lane);
    if (reported === 'output') return stream(`${before.length} `, { ...options, parent });
    if (reported !== 'reply') return status(reported, { ...options, parent });
    const outcome = step.what === 'failure' ? 'timeout' : 'finished';
    const exit = parent === step.lane ? { exit_code: 0, signal: null } : {};
    return okReply({ ...options, parent, metadata: verdict(outcome, exit) });
  }

  return {
    ran,
    send: (id: ExecutionId, lane: LaneKey) => {
      const before = ran.get(lane) ?? [];
      if (before.includes(id) || interrupted.has(id)) return;
      if (running.has(lane)) throw new Error('Two executions run in one lane.');
      if (lane === id && commands().length >= MAX_COMMANDS)
        throw new Error('Too many commands run.');
      running.set(lane, { id, reported: [] });
      ran.set(lane, [...before, id]);
    },
    report: (step: Act, at: number): KernelMessage | null => {
      const text = frameOf(placed(step), at);
      if (text === null) return null;
      const message = messageIn(text);
      log.push({ seq: log.length + 1, message });
      return message;
    },
    interrupt: (id: ExecutionId) => {
      const isKnown = [...ran.values()].some((ids) => ids.includes(id));
      if (!isKnown) interrupted.add(id);
      return isKnown;
    },
    isOver: (id: ExecutionId) =>
      [...ran.values()].some((ids) => ids.includes(id)) &&
      ![...running.values()].some((each) => each.id === id),
    after: (seq: number) => log.filter((each) => each.seq > seq).map(({ message }) => message),
  };
}
