import { request } from 'node:http';
import { z } from 'zod';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { FencedByWorkerError, KernelHttpError } from '../channel/kernelErrors.ts';
import { parseJson } from '../frames/json.ts';
import {
  AGENT_OPERATIONS,
  type AnswerOf,
  type InputOf,
  type Operation,
  type OperationName,
} from './operations.ts';

/**
 * Asks an agent to do something, under this gateway's epoch. @throws FencedByWorkerError if another gateway has the
 * worker, KernelHttpError if the agent refuses, otherwise the connection's error (also for a timeout or an abort)
 */
export type CallAgent = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
) => Promise<AnswerOf<Name>>;

interface AgentCallsDeps {
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

/** The default limit. Most answers are a few short fields and far smaller. */
const MAX_ANSWER_BYTES = 65_536;

interface AgentRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly timeoutMs: number;
  readonly maxAnswerBytes?: number | undefined;
  /** Null: the request has no body. */
  readonly body: unknown | null;
}

interface AgentAnswer {
  readonly status: number;
  readonly body: string;
}

/** Makes one HTTP request over its own connection. @throws the connection's error, after `timeoutMs` at the latest */
export function requestAgent(
  address: AgentAddress,
  { method, path, timeoutMs, maxAnswerBytes = MAX_ANSWER_BYTES, body }: AgentRequest,
  signal: AbortSignal,
): Promise<AgentAnswer> {
  const text = body === null ? '' : JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const call = request({
      createConnection: () => address.open(),
      method,
      path,
      headers: body === null ? {} : headers,
      signal,
    });
    // Not AbortSignal.any: in Node 20 each combined signal leaks a reference on `signal`, which lives as long as the
    // worker.
    const timer = setTimeout(() => {
      call.destroy(
        new Error(`The worker did not answer ${method} ${path} within ${timeoutMs} ms.`),
      );
    }, timeoutMs);
    call.on('close', () => clearTimeout(timer));
    call.on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) response.destroy(new Error('The answer is too long.'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    call.end(text);
  });
}
