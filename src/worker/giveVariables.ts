/**
 * Gives environment variables to a worker from the gateway that opens the session, which need not hold the worker. The
 * holder gives them, too (variableDelivery.ts). But the holder may be of an older release that knows no variables, and
 * so may the worker.
 */
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { Worker } from '../domain/worker.ts';
import { isUnknownOperation } from '../kernel/channel/kernelErrors.ts';
import { type AgentOfDeps, agentOf } from './agentOf.ts';

export interface GiveVariablesDeps extends AgentOfDeps {
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
    const call = await agentOf(deps, worker);
    await call?.('variables', { variables });
    return call ? 'given' : 'unanswered';
  } catch (error: unknown) {
    if (isUnknownOperation(error)) return 'unknown';
    const details = { error: messageOf(error), workerId: worker.id };
    deps.logger.warn(details, 'an agent did not take the environment variables from here');
    return 'unanswered';
  }
}
