/** What the agents of workers can do beyond the first release. Any gateway may ask, with or without the lease. */
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { WorkerId } from '../domain/ids.ts';
import type { Worker } from '../domain/worker.ts';
import { createAgentCalls } from '../kernel/calls/createAgentCalls.ts';

export interface WorkerFeatures {
  /** The worker's features: asked once, because they never change. @throws the connection's error */
  of(worker: Worker): Promise<ReadonlySet<string>>;
  /** Whether it has said that it has this feature. False also if it has not been asked. */
  hasTold(id: WorkerId, feature: string): boolean;
  /** The worker is gone. */
  forget(id: WorkerId): void;
}

export function createWorkerFeatures(
  addressOf: (worker: Worker) => AgentAddress | null,
): WorkerFeatures {
  const known = new Map<WorkerId, Promise<ReadonlySet<string>>>();
  const told = new Map<WorkerId, ReadonlySet<string>>();

  async function ask(worker: Worker): Promise<ReadonlySet<string>> {
    const address = addressOf(worker);
    if (address === null) throw new Error('The worker was never started.');
    const { signal } = new AbortController();
    // `health` is a GET, so no epoch is sent.
    const call = createAgentCalls({ target: { kind: 'agent', address }, epoch: 0, signal });
    return new Set((await call('health', {})).features);
  }

  return {
    of: async (worker) => {
      const earlier = known.get(worker.id);
      if (earlier) return await earlier;
      const asking = ask(worker);
      known.set(worker.id, asking);
      try {
        const features = await asking;
        told.set(worker.id, features);
        return features;
      } catch (error: unknown) {
        known.delete(worker.id);
        throw error;
      }
    },
    hasTold: (id, feature) => told.get(id)?.has(feature) ?? false,
    forget: (id) => {
      known.delete(id);
      told.delete(id);
    },
  };
}
