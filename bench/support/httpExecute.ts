/** Calls `execute` over one kept HTTP connection, like a client with a connection pool. */
import type { RoundTrip } from '../contenders/codeRunner.ts';
import { keptConnection } from './keptConnection.ts';

const QUERY =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status resultText error { value } } }';

export interface HttpExecuteOptions {
  readonly url: string;
  readonly token: string;
  readonly userUuid: string;
}

/** The measured time ends when the result has been read. */
export function httpExecute({ url, token, userUuid }: HttpExecuteOptions): RoundTrip {
  const connection = keptConnection(url, token);
  return async (code, expected) => {
    const startedAt = performance.now();
    const variables = { input: { userUuid, code } };
    const answer = await connection.post('/graphql', { query: QUERY, variables });
    const tookMs = performance.now() - startedAt;
    const execution = JSON.parse(answer).data?.execute;
    if (execution?.status !== 'OK' || execution.resultText !== expected) throw new Error(answer);
    return tookMs;
  };
}
