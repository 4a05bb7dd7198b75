import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Worker } from '../domain/worker.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { type CallAgent, createAgentCalls } from '../kernel/calls/createAgentCalls.ts';
import type { HeldWorkers } from './heldWorkers.ts';

export interface AgentOfDeps {
  readonly heldWorkers: Pick<HeldWorkers, 'get'>;
  readonly queries: Pick<Queries, 'workerEpoch'>;
  readonly addressOf: (worker: Worker) => AgentAddress | null;
}

/**
 * Calls to a worker's agent that need not come from the gateway that holds the worker. They are under the epoch of
 * whichever gateway holds it, so that gateway keeps its connection. Null: the worker was never started or held.
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
