/**
 * Sends code to the worker's agent when it is due: in each lane one execution at a time, in the order of acceptance.
 */
import type { ExecutionId } from '../domain/ids.ts';
import type { ExecuteRequest } from '../kernel/execution/executeRequest.ts';
import type { Lane } from './lanes/lane.ts';
import type { Lanes } from './lanes/lanes.ts';
import type { Job } from './storing/batch.ts';

export interface SendingDeps {
  readonly lanes: Lanes;
  /** Whether the agent may get code: it is connected, was not restarted, and has the session's variables. */
  readonly maySend: () => boolean;
  readonly send: (request: ExecuteRequest) => void;
  /** Whether an interrupt of the execution waits for the agent's answer. */
  readonly isInterruptPending: (id: ExecutionId) => boolean;
  readonly interruptGraceMs: number;
}

export interface Sending {
  /** The agent was connected, or has got the session's variables: sends the code that is due in all lanes. */
  goOn(): void;
  /** Begins the lane's next execution, if one is due. */
  beginNext(lane: Lane): void;
  /** Stops holding back the execution's code. Returns whether it was held back until now, because of an interrupt. */
  endHoldBack(id: ExecutionId): boolean;
}

export function createSending(deps: SendingDeps): Sending {
  const { lanes, maySend, isInterruptPending, interruptGraceMs: graceMs } = deps;
  /**
   * The executions whose code is not sent for now: an interrupt for each is pending, and the former holder may have sent
   * the code already. The agent's answer to the interrupt tells whether it has the code.
   */
  const heldBack = new Set<ExecutionId>();

  function send({ execution, code }: Job): void {
    const { id: msgId, timeoutMs, maxOutputBytes } = execution;
    if (isInterruptPending(msgId)) heldBack.add(msgId);
    else deps.send({ msgId, code, timeoutMs, graceMs, maxOutputBytes });
  }

  function beginNext(lane: Lane): void {
    const { next } = lane;
    if (!next || !maySend()) return;
    lane.begin(next);
    send(next);
  }

  return {
    goOn: () => {
      if (!maySend()) return;
      for (const lane of lanes.all()) {
        const { running } = lane;
        // The former holder may have died before it sent the code, so it is sent again. The agent ignores a known
        // msg_id.
        if (running) send(running);
        else beginNext(lane);
      }
    },
    beginNext,
    endHoldBack: (id) => heldBack.delete(id),
  };
}
