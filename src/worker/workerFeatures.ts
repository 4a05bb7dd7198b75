/**
 * The optional features of workers' agents, and the facts about their kernels. Any gateway may ask, with or without the
 * lease.
 */
import { within } from '../async/within.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { WorkerId } from '../domain/ids.ts';
import type { KernelFacts } from '../domain/kernelQuestion.ts';
import type { Worker } from '../domain/worker.ts';
import { createAgentCalls } from '../kernel/agent/createAgentCalls.ts';

/** How long a claim waits for the answer. Other users who wait for a worker wait for this answer, too. */
const CLAIM_ASK_MS = 500;
/** How long a worker that did not answer a claim in time is not offered to other claims. */
const SILENT_MS = 5_000;

export interface WorkerFeatures {
  /** The worker's features: asked once, because they never change. @throws the connection's error */
  of(worker: Worker): Promise<ReadonlySet<string>>;
  /** The facts about the worker's kernels. Null: its agent does not report them. @throws the connection's error */
  kernelFactsOf(worker: Worker): Promise<KernelFacts | null>;
  /**
   * Like {@link WorkerFeatures.of}, for a claim, which must not wait long. Null: the worker has not answered within
   * {@link CLAIM_ASK_MS}. It is then one of the {@link WorkerFeatures.silent} workers. Never throws.
   */
  inTime(worker: Worker): Promise<ReadonlySet<string> | null>;
  /** The workers that have not answered a claim in the last {@link SILENT_MS}. */
  silent(): WorkerId[];
  /** Whether the worker is known to have this feature. False also if it has not been asked. */
  hasTold(id: WorkerId, feature: string): boolean;
  /** Forgets a worker that is gone. */
  forget(id: WorkerId): void;
}

interface Told {
  readonly features: ReadonlySet<string>;
  readonly kernelInfo: KernelFacts | null;
}

export function createWorkerFeatures(
  addressOf: (worker: Worker) => AgentAddress | null,
  now: () => Date,
): WorkerFeatures {
  const known = new Map<WorkerId, Promise<Told>>();
  const told = new Map<WorkerId, ReadonlySet<string>>();
  const silentSince = new Map<WorkerId, number>();

  async function ask(worker: Worker): Promise<Told> {
    const address = addressOf(worker);
    if (address === null) throw new Error('The worker was never started.');
    const { signal } = new AbortController();
    // `health` is a GET, so no epoch is sent.
    const call = createAgentCalls({ address, epoch: 0, signal });
    const { features, kernelInfo } = await call('health', {});
    return { features: new Set(features), kernelInfo };
  }

  async function toldBy(worker: Worker): Promise<Told> {
    const earlier = known.get(worker.id);
    if (earlier) return await earlier;
    const asking = ask(worker);
    known.set(worker.id, asking);
    try {
      const answer = await asking;
      // `forget` may have been called meanwhile.
      if (known.get(worker.id) === asking) told.set(worker.id, answer.features);
      return answer;
    } catch (error: unknown) {
      // Another question may have begun after `forget`.
      if (known.get(worker.id) === asking) known.delete(worker.id);
      throw error;
    }
  }

  const of = async (worker: Worker) => (await toldBy(worker)).features;

  return {
    of,
    kernelFactsOf: async (worker) => (await toldBy(worker)).kernelInfo,
    inTime: async (worker) => {
      const answered = of(worker).catch(() => null);
      const features = await within(CLAIM_ASK_MS, answered, () => null);
      if (features === null) silentSince.set(worker.id, now().getTime());
      return features;
    },
    silent: () => {
      const oldest = now().getTime() - SILENT_MS;
      for (const [id, since] of silentSince) if (since < oldest) silentSince.delete(id);
      return [...silentSince.keys()];
    },
    hasTold: (id, feature) => told.get(id)?.has(feature) ?? false,
    forget: (id) => {
      known.delete(id);
      told.delete(id);
    },
  };
}
