import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Worker } from '../domain/worker.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { type CallAgent, createAgentCalls } from '../kernel/agent/createAgentCalls.ts';
import type { HeldWorkers } from './heldWorkers.ts';

export interface AgentOfDeps {
  readonly heldWorkers: Pick<HeldWorkers, 'get'>;
  readonly queries: Pick<Queries, 'workerEpoch'>;
  readonly addressOf: (worker: Worker) => AgentAddress | null;
}

/**
 * Returns the calls to a worker's agent, for operations that any gateway may carry out. The calls carry the epoch of
 * the gateway that holds the worker, so the agent keeps that gateway's connection. Null: the worker was never started
 * or held.
 */
export async function agentOf(
  { heldWorkers, queries, addressOf }: AgentOfDeps,
  worker: Worker,
): Promise<CallAgent | null> {
  const held = heldWorkers.get(worker.id);
  if (held) return held.call;
  const address = addressOf(worker);
  const epoch = await queries.workerEpoch(worker.id);
  if (address === null || epoch === null) return null;
  const { signal } = new AbortController();
  return createAgentCalls({ address, epoch, signal });
}
