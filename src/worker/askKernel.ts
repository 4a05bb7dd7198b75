import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { AskedKernel, KernelAnswer } from '../domain/kernelQuestion.ts';
import type { Worker } from '../domain/worker.ts';
import { readAnswer } from '../kernel/agent/operations.ts';
import { type AgentOfDeps, agentOf } from './agentOf.ts';

export interface AskKernelDeps extends AgentOfDeps {
  readonly logger: Logger;
}

/**
 * Asks a kernel of the worker, whichever gateway holds the worker. Null: the kernel is busy or not ready, its answer is
 * late or malformed, or the worker cannot be reached.
 */
export async function askKernel(
  deps: AskKernelDeps,
  worker: Worker,
  asked: AskedKernel,
): Promise<KernelAnswer | null> {
  try {
    const call = await agentOf(deps, worker);
    const said = await call?.('ask', asked);
    return said?.answer == null ? null : readAnswer(asked.question, said.answer);
  } catch (error: unknown) {
    const details = { error: messageOf(error), workerId: worker.id };
    deps.logger.debug(details, 'a kernel did not answer a question');
    return null;
  }
}
