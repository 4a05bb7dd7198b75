import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Session } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { WorkerFiles } from '../domain/workerFiles.ts';
import type { Database } from '../events/database.ts';
import { createAgentCalls } from '../kernel/agent/createAgentCalls.ts';
import { createWorkerFiles } from '../kernel/files/createWorkerFiles.ts';

export interface OpenWorkerFilesDeps {
  readonly database: { readonly queries: Pick<Database['queries'], 'workerAndBoot'> };
  /** How the worker's agent is reached. Null: the worker was never started. */
  readonly addressOf: (worker: Worker) => AgentAddress | null;
}

/**
 * The files of the session's worker. File operations need no lease, so this works whichever gateway holds the worker.
 * Each operation carries the session's id and the agent's boot id. So a gateway that was paused while the session ended
 * cannot reach another session's files. Null if the worker was never started, or is gone.
 * @throws the connection's error, if the boot id is not recorded yet and the agent cannot be asked for it
 */
export async function openWorkerFiles(
  { database, addressOf }: OpenWorkerFilesDeps,
  { id: sessionId, workerId }: Pick<Session, 'id' | 'workerId'>,
): Promise<WorkerFiles | null> {
  const found = await database.queries.workerAndBoot(workerId);
  const address = found && addressOf(found.worker);
  if (!address) return null;
  const bootId = found.bootId ?? (await askBootId(address));
  return createWorkerFiles({ address, sessionId, bootId });
}

/** A worker that has stored nothing yet has no boot id in the database. */
async function askBootId(address: AgentAddress): Promise<string> {
  const { signal } = new AbortController();
  // `health` is a GET, so no epoch is sent.
  const call = createAgentCalls({ address, epoch: 0, signal });
  return (await call('health', {})).bootId;
}
