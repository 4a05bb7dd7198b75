/**
 * Runs code over a channel as a gateway does. It sends the code when the channel is open, and folds the agent's
 * messages until the code has ended.
 */
import type { AgentAddress } from '../src/domain/agentAddress.ts';
import type { ExecutionId } from '../src/domain/ids.ts';
import type { Output } from '../src/domain/output.ts';
import type { KernelChannelDeps } from '../src/kernel/channel/kernelChannel.ts';
import {
  type ExecuteMessage,
  type ExecutionOutcome,
  receive,
  startProgress,
} from '../src/kernel/execution.ts';
import type { KernelMessage } from '../src/kernel/frames/messages.ts';
import { newId } from '../src/process/newId.ts';
import { type RecordedChannel, recordChannel } from './channelRecorder.ts';

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
