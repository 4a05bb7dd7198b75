/** Calls to workers' agents that any gateway may make, with or without the lease. */
import type { Logger } from 'pino';
import { within } from '../async/within.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';
import { messageOf } from '../domain/errors.ts';
import type { WorkerId } from '../domain/ids.ts';
import type { AskedKernel, KernelAnswer, KernelFacts } from '../domain/kernelQuestion.ts';
import type { Session } from '../domain/session.ts';
import type { Worker, WorkerUsage } from '../domain/worker.ts';
import type { WorkerFiles } from '../domain/workerFiles.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { type CallAgent, createAgentCalls } from '../kernel/agent/createAgentCalls.ts';
import { readAnswer } from '../kernel/agent/operations.ts';
import { createWorkerFiles } from '../kernel/files/createWorkerFiles.ts';
import type { HeldWorkers } from './heldWorkers.ts';

interface AgentOfDeps {
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

/**
 * The files of the session's worker. File operations need no lease, so this works whichever gateway holds the worker.
 * Each operation carries the session's id and the agent's boot id. So a gateway that was paused while the session ended
 * cannot reach another session's files. Null if the worker was never started, or is gone.
 * @throws the connection's error, if the boot id is not recorded yet and the agent cannot be asked for it
 */
export async function openWorkerFiles(
  {
    queries,
    addressOf,
  }: Pick<AgentOfDeps, 'addressOf'> & {
    readonly queries: Pick<Queries, 'workerAndBoot'>;
  },
  { id: sessionId, workerId }: Pick<Session, 'id' | 'workerId'>,
): Promise<WorkerFiles | null> {
  const found = await queries.workerAndBoot(workerId);
  const address = found && addressOf(found.worker);
  if (!address) return null;
  // A worker that has stored nothing yet has no boot id in the database.
  const bootId = found.bootId ?? (await callsTo(address)('health', {})).bootId;
  return createWorkerFiles({ address, sessionId, bootId });
}

/** Calls of operations with GET, such as `health` and `usage`: no epoch is sent. */
function callsTo(address: AgentAddress): CallAgent {
  return createAgentCalls({ address, epoch: 0, signal: new AbortController().signal });
}

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
  return await callsTo(address)('usage', {});
}

// The optional features of workers' agents, and the facts about their kernels. Any gateway may ask, with or without the
// lease.

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
  /** The workers that failed to answer a claim within the last {@link SILENT_MS}. */
  silent(): WorkerId[];
  /** Whether the worker is known to have this feature. False also if it has not been asked. */
  isKnownToHave(id: WorkerId, feature: string): boolean;
  /** Forgets a worker that is gone. */
  forget(id: WorkerId): void;
}

interface AgentHealth {
  readonly features: ReadonlySet<string>;
  readonly kernelInfo: KernelFacts | null;
}

export function createWorkerFeatures(
  addressOf: (worker: Worker) => AgentAddress | null,
  now: () => Date,
): WorkerFeatures {
  const known = new Map<WorkerId, Promise<AgentHealth>>();
  const answered = new Map<WorkerId, ReadonlySet<string>>();
  const silentSince = new Map<WorkerId, number>();

  async function ask(worker: Worker): Promise<AgentHealth> {
    const address = addressOf(worker);
    if (address === null) throw new Error('The worker was never started.');
    const { features, kernelInfo } = await callsTo(address)('health', {});
    return { features: new Set(features), kernelInfo };
  }

  async function healthOf(worker: Worker): Promise<AgentHealth> {
    const earlier = known.get(worker.id);
    if (earlier) return await earlier;
    const asking = ask(worker);
    known.set(worker.id, asking);
    try {
      const answer = await asking;
      // `forget` may have been called meanwhile.
      if (known.get(worker.id) === asking) answered.set(worker.id, answer.features);
      return answer;
    } catch (error: unknown) {
      // Another question may have begun after `forget`.
      if (known.get(worker.id) === asking) known.delete(worker.id);
      throw error;
    }
  }

  const of = async (worker: Worker) => (await healthOf(worker)).features;

  return {
    of,
    kernelFactsOf: async (worker) => (await healthOf(worker)).kernelInfo,
    inTime: async (worker) => {
      const asking = of(worker).catch(() => null);
      const features = await within(CLAIM_ASK_MS, asking, () => null);
      if (features === null) silentSince.set(worker.id, now().getTime());
      return features;
    },
    silent: () => {
      const oldest = now().getTime() - SILENT_MS;
      for (const [id, since] of silentSince) if (since < oldest) silentSince.delete(id);
      return [...silentSince.keys()];
    },
    isKnownToHave: (id, feature) => answered.get(id)?.has(feature) ?? false,
    forget: (id) => {
      known.delete(id);
      answered.delete(id);
    },
  };
}
