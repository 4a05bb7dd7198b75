/**
 * The link to the worker's agent.
 *
 * ```
 *  connecting <--> open --the agent was restarted--> replaced   (the pool checks the worker)
 *       |            |                                  |
 *       +------------+----------------------------------+--fenced, close()--> closed
 * ```
 */
import type { WorkerId } from '../domain/ids.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import { type KernelChannel, openKernelChannel } from '../kernel/channel/kernelChannel.ts';
import { FencedByWorkerError } from '../kernel/channel/kernelErrors.ts';
import type { KernelMessage } from '../kernel/frames/messages.ts';
import type { HeldWorkerDeps, TakenOver } from './heldWorker.ts';

export interface AgentLinkDeps
  extends Pick<HeldWorkerDeps, 'logger' | 'messageCounts' | 'onSuspect'> {
  /** Gets each message once, in order. Messages of an agent that was restarted are dropped. */
  readonly onMessage: (message: KernelMessage) => void;
  /** Called at each connection, unless the agent was restarted. */
  readonly onOpen: (workerId: WorkerId) => void;
  /** Called when another gateway has the worker. */
  readonly onFenced: () => void;
}

export interface AgentLink
  extends Pick<KernelChannel, 'execute' | 'ack' | 'pause' | 'resume' | 'close'> {
  readonly isOpen: boolean;
  /** The agent was restarted. No code may be sent to it any more, because code that has already run would run again. */
  readonly isReplaced: boolean;
  /** The agent has been unreachable for a while, or was restarted. */
  readonly isSuspect: boolean;
  /** The boot id of the agent that sent the messages. */
  readonly bootId: string;
  readonly call: CallAgent;
}

/** Connects immediately. */
export function openAgentLink(
  deps: AgentLinkDeps,
  { workerId, address, cursor }: Pick<TakenOver, 'workerId' | 'address' | 'cursor'>,
): AgentLink {
  let { bootId } = cursor;
  let isReplaced = false;
  let isSuspect = false;

  function suspect(why: string): void {
    isSuspect = true;
    deps.onSuspect(workerId, why);
  }

  const channel = openKernelChannel({
    address,
    after: cursor.seq,
    bootId,
    epoch: cursor.epoch,
    logger: deps.logger,
    counts: deps.messageCounts,
    onMessage: (message) => {
      if (!isReplaced) deps.onMessage(message);
    },
    onOpen: () => {
      if (isReplaced) return;
      isSuspect = false;
      deps.onOpen(workerId);
    },
    onHello: (hello, isNewBoot) => {
      if (isNewBoot) {
        isReplaced = true;
        suspect('its agent was restarted, and the code that ran in it is gone');
      } else {
        bootId = hello.bootId;
      }
    },
    onFenced: deps.onFenced,
    onUnreachable: (error) => suspect(error.message),
  });

  return {
    get isOpen() {
      return channel.state === 'open';
    },
    get isReplaced() {
      return isReplaced;
    },
    get isSuspect() {
      return isSuspect;
    },
    get bootId() {
      return bootId;
    },
    call: async (name, input) => {
      try {
        return await channel.call(name, input);
      } catch (error: unknown) {
        if (error instanceof FencedByWorkerError) deps.onFenced();
        throw error;
      }
    },
    execute: (request) => channel.execute(request),
    ack: (seq) => channel.ack(seq),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    close: () => channel.close(),
  };
}
