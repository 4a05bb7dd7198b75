import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Worker } from '../domain/worker.ts';
import type { WorkerUsage } from '../domain/workerUsage.ts';
import { createAgentCalls } from '../kernel/agent/createAgentCalls.ts';

/**
 * The resources that the worker uses now. Any gateway may ask, with or without the lease.
 * @throws the connection's error
 */
export async function usageOf(
  addressOf: (worker: Worker) => AgentAddress | null,
  worker: Worker,
): Promise<WorkerUsage> {
  const address = addressOf(worker);
  if (address === null) throw new Error('The worker was never started.');
  const { signal } = new AbortController();
  // `usage` is a GET, so no epoch is sent.
  const call = createAgentCalls({ address, epoch: 0, signal });
  return await call('usage', {});
}
