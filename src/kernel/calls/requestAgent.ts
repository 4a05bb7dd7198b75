import { request } from 'node:http';
import type { AgentAddress } from '../../domain/agentAddress.ts';

/** The default limit. Most answers are a few short fields and far smaller. */
const MAX_ANSWER_BYTES = 65_536;

export interface AgentRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly timeoutMs: number;
  readonly maxAnswerBytes?: number | undefined;
  /** Null: the request has no body. */
  readonly body: unknown | null;
}

export interface AgentAnswer {
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
