/**
 * Runs code over a channel as a gateway does. It sends the code when the channel is open, and folds the agent's
 * messages until the code has ended.
 */

import { EventEmitter, once } from 'node:events';
import { pino } from 'pino';
import type { AgentAddress } from '../src/domain/agentAddress.ts';
import type { ExecutionId } from '../src/domain/ids.ts';
import { createMessageCounts, type MessageCounts } from '../src/domain/messageCounts.ts';
import type { Output } from '../src/domain/output.ts';
import {
  type KernelChannel,
  type KernelChannelDeps,
  openKernelChannel,
} from '../src/kernel/channel/kernelChannel.ts';
import {
  type ExecuteMessage,
  type ExecutionOutcome,
  receive,
  startProgress,
} from '../src/kernel/execution.ts';
import type { KernelMessage } from '../src/kernel/frames/messages.ts';
import { newId } from '../src/process/newId.ts';

export interface Ran {
  readonly id: ExecutionId;
  readonly outputs: readonly Output[];
  readonly outcome: ExecutionOutcome;
  readonly starts: number;
}

export interface KernelRunner {
  readonly recorded: RecordedChannel;
  run(code: string, limits?: Partial<RunLimits>): Promise<Ran>;
  close(): Promise<void>;
}

interface RunLimits {
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly maxOutputBytes: number;
  readonly msgId: ExecutionId;
  /** By default the default context. */
  readonly context: NonNullable<ExecuteMessage['context']>;
}

/** @param start if another gateway ran code there before: the cursor of that gateway, and a higher epoch */
export function createKernelRunner(
  address: AgentAddress,
  start: Partial<Pick<KernelChannelDeps, 'epoch' | 'after' | 'bootId'>> = {},
): KernelRunner {
  const listeners = new Set<(message: KernelMessage) => void>();
  const recorded = recordChannel({
    address,
    ...start,
    onMessage: (message) => {
      for (const listener of listeners) listener(message);
    },
  });
  const { channel } = recorded;
  const run = async (code: string, limits: Partial<RunLimits> = {}): Promise<Ran> => {
    const { timeoutMs = 60_000, graceMs = 5_000, maxOutputBytes = 50_000_000 } = limits;
    const id = limits.msgId ?? newId<ExecutionId>();
    await recorded.until(() => channel.state === 'open');
    const ran = new Promise<Ran>((resolve) => {
      const outputs: Output[] = [];
      let progress = startProgress(id);
      let starts = 0;
      const listen = (message: KernelMessage): void => {
        const step = receive(progress, message, { maxOutputBytes });
        progress = step.progress;
        outputs.push(...step.outputs);
        if (step.started) starts += 1;
        if (step.done === null) return;
        listeners.delete(listen);
        channel.ack(message.seq);
        resolve({ id, outputs, outcome: step.done, starts });
      };
      listeners.add(listen);
    });
    const context = limits.context && { context: limits.context };
    channel.execute({ msgId: id, code, timeoutMs, graceMs, maxOutputBytes, ...context });
    return await ran;
  };
  return { recorded, run, close: () => channel.close() };
}

/** The whole text of a stream. */
export function textOf({ outputs }: Ran, name: 'stdout' | 'stderr' = 'stdout'): string {
  return outputs
    .map((output) => (output.kind === 'stream' && output.name === name ? output.text : ''))
    .join('');
}

// Opens a channel, records every callback to its owner in order, and lets a test wait for a condition.

export interface RecordedChannel {
  readonly channel: KernelChannel;
  readonly counts: Readonly<MessageCounts>;
  readonly messages: KernelMessage[];
  /** All callbacks except `onMessage`, in order: `open`, `hello boot-1`, `state connecting`, `unreachable …`. */
  readonly told: string[];
  /** Resolves when `isMet` holds. It is checked after each callback. */
  until(isMet: () => boolean): Promise<void>;
}

export function recordChannel(
  deps: Pick<KernelChannelDeps, 'address'> & Partial<KernelChannelDeps>,
): RecordedChannel {
  const bus = new EventEmitter();
  const counts = createMessageCounts();
  const messages: KernelMessage[] = [];
  const told: string[] = [];
  const tell = (what: string): void => {
    told.push(what);
    bus.emit('told');
  };
  const channel = openKernelChannel({
    epoch: 1,
    after: 0,
    bootId: '',
    logger: pino({ level: 'silent' }),
    counts,
    onHello: ({ bootId }, isNewBoot) => tell(`hello ${bootId}${isNewBoot ? ' new' : ''}`),
    onOpen: () => tell('open'),
    onState: (state) => tell(`state ${state}`),
    onFenced: () => tell('fenced'),
    onUnreachable: (error) => tell(`unreachable ${error.message}`),
    ...deps,
    onMessage: (message) => {
      messages.push(message);
      deps.onMessage?.(message);
      bus.emit('told');
    },
  });
  const until = async (isMet: () => boolean): Promise<void> => {
    while (!isMet()) await once(bus, 'told');
  };
  return { channel, counts, messages, told, until };
}
