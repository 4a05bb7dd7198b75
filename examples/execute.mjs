/** Shows output while code runs. If the connection breaks or the gateway restarts, it resumes after the last seq. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const url = process.env.CELLHOUSE_URL ?? 'http://127.0.0.1:3874';
const token = process.env.CELLHOUSE_TOKEN ?? readFileSync('.cellhouse/auth-token', 'utf8').trim();
const userUuid = 'node';

const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }';
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';
const OUTPUT = `subscription ($id: ID!, $after: Int!) {
  output(executionId: $id, after: $after) {
    seq
    ... on StreamOutput { text }
    ... on RichOutput { data }
    ... on ErrorOutput { error { name value } }
    ... on ExecutionFinished { execution { status } }
  }
}`;
const CODE = `import time
for i in range(10):
    print('line', i)
    time.sleep(0.3)
`;

async function graphql(query, variables) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Auth-Token': token },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
  return data;
}

const socket = createClient({
  url: `${url.replace(/^http/, 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { 'X-Auth-Token': token },
  // The client's own retry would resend the `after` of the first attempt.
  retryAttempts: 0,
});

/**
 * Whether the connection broke: then graphql-ws throws an event with a `type`. After a close code from 4000 on, another
 * attempt would fail, too (4403: the token is wrong).
 */
const isLost = ({ type, code }) => type === 'error' || (type === 'close' && code < 4000);

/** Every output event of an execution, each once and in order. Ends with the one that has `execution`. */
async function* follow(id) {
  let after = 0;
  let isFinished = false;
  while (!isFinished) {
    try {
      const results = socket.iterate({ query: OUTPUT, variables: { id, after } });
      for await (const { data, errors } of results) {
        if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
        yield data.output;
        after = data.output.seq;
        isFinished = 'execution' in data.output;
      }
    } catch (problem) {
      if (!isLost(problem)) throw problem;
      await delay(500);
    }
  }
}

const { submit } = await graphql(SUBMIT, { input: { userUuid, code: CODE } });
for await (const { text, data, error, execution } of follow(submit.id)) {
  if (text) process.stdout.write(text);
  if (data) console.log(data['text/plain']);
  if (error) console.log(`${error.name}: ${error.value}`);
  if (execution) console.log(execution.status);
}
await graphql(RELEASE, { input: { userUuid } });
await socket.dispose();
