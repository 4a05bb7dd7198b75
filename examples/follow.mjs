/** Follows an execution to its end, whatever happens to connection or gateway: `node examples/follow.mjs ID`. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const url = process.env.CELLHOUSE_URL ?? 'http://127.0.0.1:3874';
const token = process.env.CELLHOUSE_TOKEN ?? readFileSync('.cellhouse/auth-token', 'utf8').trim();
const id = process.argv[2];
const query = `subscription ($id: ID!, $after: Int!) { output(executionId: $id, after: $after) {
  seq ... on StreamOutput { text } ... on ExecutionFinished { execution { status } } } }`;

const client = createClient({
  url: `${url.replace(/^http/, 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { 'X-Auth-Token': token },
  retryAttempts: 0, // The client's own retry would resend the `after` of the first attempt.
});
let after = 0;
let status;
while (!status) {
  try {
    for await (const { data, errors } of client.iterate({ query, variables: { id, after } })) {
      if (errors) throw new Error(errors[0].message);
      process.stdout.write(data.output.text ?? '');
      after = data.output.seq;
      status = data.output.execution?.status;
    }
  } catch (problem) {
    // When the connection breaks, graphql-ws throws a CloseEvent or an ErrorEvent: both have a `type`.
    // After a close code from 4000 on, another attempt would fail, too (4403: the token is wrong).
    if (problem.type === undefined || problem.code >= 4000) throw problem;
    await delay(500);
  }
}
console.log(status);
await client.dispose();
