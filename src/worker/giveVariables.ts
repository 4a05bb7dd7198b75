/**
 * Gives environment variables to a worker from the gateway that opens the session, which need not hold the worker. The
 * holder gives them, too (variableDelivery.ts). But the holder may be of an older release that knows no variables, and
 * so may the worker.
 */
import type { Logger } from 'pino';
import type { AgentAddress } from '../domain/agentAddress.ts';
import { messageOf } from '../domain/errors.ts';
import type { Worker } from '../domain/worker.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import { type CallAgent, createAgentCalls } from '../kernel/calls/createAgentCalls.ts';
import { isUnknownOperation } from '../kernel/channel/kernelErrors.ts';
import type { HeldWorkers } from './heldWorkers.ts';

export interface GiveVariablesDeps {
  readonly heldWorkers: Pick<HeldWorkers, 'get'>;
  readonly queries: Pick<Queries, 'workerEpoch'>;
  readonly addressOf: (worker: Worker) => AgentAddress | null;
  readonly logger: Logger;
}

/** What became of it. */
export type Given =
  | 'given'
  /** The worker's agent is older than environment variables. */
  | 'unknown'
  /** The agent could not be asked. The holder of the worker tries on. */
  | 'unanswered';

export async function giveVariables(
  deps: GiveVariablesDeps,
  worker: Worker,
  variables: Readonly<Record<string, string>>,
): Promise<Given> {
  try {
    const call = await callOf(deps, worker);
    await call?.('variables', { variables });
    return call ? 'given' : 'unanswered';
  } catch (error: unknown) {
    if (isUnknownOperation(error)) return 'unknown';
    const details = { error: messageOf(error), workerId: worker.id };
    deps.logger.warn(details, 'an agent did not take the environment variables from here');
    return 'unanswered';
  }
}

/** Under the epoch of whichever gateway holds the worker: that gateway keeps its connection. */
async function callOf(
  { heldWorkers, queries, addressOf }: GiveVariablesDeps,
  worker: Worker,
): Promise<CallAgent | null> {
  const held = heldWorkers.get(worker.id);
  if (held) return held.call;
  const address = addressOf(worker);
  const epoch = await queries.workerEpoch(worker.id);
  if (address === null || epoch === null) return null;
  const { signal } = new AbortController();
  return createAgentCalls({ target: { kind: 'agent', address }, epoch, signal });
}
