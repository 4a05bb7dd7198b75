import { z } from 'zod';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { FencedByWorkerError, KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/parseJson.ts';
import type { Operation } from './operation.ts';
import {
  AGENT_OPERATIONS,
  type AnswerOf,
  type InputOf,
  type OperationName,
} from './operationTable.ts';
import { requestAgent } from './requestAgent.ts';

/**
 * Asks an agent to do something, under this gateway's epoch. @throws FencedByWorkerError if another gateway has the
 * worker, KernelHttpError if the agent refuses, otherwise the connection's error (also for a timeout or an abort)
 */
export type CallAgent = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
) => Promise<AnswerOf<Name>>;

export interface AgentCallsDeps {
  readonly address: AgentAddress;
  readonly epoch: number;
  /** Aborting it ends every call that is under way. */
  readonly signal: AbortSignal;
}

/** The agent's error code for a request under an epoch that is no longer the highest. */
const STALE_EPOCH = 'stale_epoch';

/** The body of a refusal: the agent's reason. */
const refusalSchema = z.object({ error: z.string().max(64) });

export function createAgentCalls({ address, epoch, signal }: AgentCallsDeps): CallAgent {
  return async <Name extends OperationName>(name: Name, input: InputOf<Name>) => {
    // The table guarantees this type, but the compiler cannot infer it.
    const operation = AGENT_OPERATIONS[name] as unknown as Operation<InputOf<Name>, AnswerOf<Name>>;
    const { method, timeoutMs, maxAnswerBytes } = operation;
    const body = method === 'GET' ? null : { epoch, ...operation.request(input) };
    const path = `/${name}`;
    const answer = await requestAgent(
      address,
      { method, path, timeoutMs, maxAnswerBytes, body },
      signal,
    );
    const json = parseJson(answer.body);
    if (answer.status !== 200) {
      const { data: refusal } = refusalSchema.safeParse(json);
      if (answer.status === 409 && refusal?.error === STALE_EPOCH) throw new FencedByWorkerError();
      throw new KernelHttpError(answer.status, refusal?.error ?? null, `${method} ${path}`);
    }
    const parsed = operation.answer.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new KernelHttpError(answer.status, 'not_as_agreed', `${method} ${path}`);
  };
}
