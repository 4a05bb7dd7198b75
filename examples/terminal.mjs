/** A shell of a session, in your terminal. It goes on when the gateway restarts; `exit` ends it, and the session. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const url = process.env.CELLHOUSE_URL ?? 'http://127.0.0.1:3874';
const token = process.env.CELLHOUSE_TOKEN ?? readFileSync('.cellhouse/auth-token', 'utf8').trim();
const userUuid = process.argv[2] ?? 'terminal';
const { stdin, stdout } = process;
const size = () => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 });

const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }';
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';
const RESIZE = `mutation ($id: ID!, $columns: Int!, $rows: Int!) {
  resizeTerminal(input: { executionId: $id, columns: $columns, rows: $rows }) { resized }
}`;
const SEND = 'mutation ($input: SendInputInput!) { sendInput(input: $input) { nextOffset } }';
const OUTPUT = `subscription ($id: ID!, $after: Int!) {
  output(executionId: $id, after: $after) {
    seq
    ... on StreamOutput { text base64 }
    ... on ExecutionFinished { execution { exitCode } }
  }
}`;

/** Repeats the call until a gateway has carried it out. Every call here may be repeated: it has a key or an offset. */
async function graphql(query, variables) {
  const headers = { 'Content-Type': 'application/json', 'X-Auth-Token': token };
  const body = JSON.stringify({ query, variables });
  for (;;) {
    // A gateway may be killed before it answers, and in the middle of its answer.
    const { data, errors: [error] = [] } = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers,
      body,
    })
      .then((response) => response.json())
      .catch(() => ({}));
    if (error && !error.extensions?.retryAfterMs)
      throw Object.assign(new Error(error.message), { code: error.extensions?.code });
    if (data && !error) return data;
    await delay(error?.extensions.retryAfterMs ?? 500);
  }
}

const socket = createClient({
  url: `${url.replace(/^http/, 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { 'X-Auth-Token': token },
  // The client's own retry would resend the `after` of the first attempt.
  retryAttempts: 0,
});

/** Writes what the shell writes. Resolves with its exit code. */
async function show(id) {
  let after = 0;
  for (;;) {
    try {
      for await (const { data, errors } of socket.iterate({
        query: OUTPUT,
        variables: { id, after },
      })) {
        if (errors) throw new Error(errors[0].message);
        const { seq, text, base64, execution } = data.output;
        stdout.write(base64 ? Buffer.from(base64, 'base64') : (text ?? ''));
        after = seq;
        if (execution) return execution.exitCode;
      }
    } catch (problem) {
      // When the connection breaks, graphql-ws throws a CloseEvent or an ErrorEvent: both have a `type`.
      if (problem.type === undefined || problem.code >= 4000) throw problem;
      await delay(500);
    }
  }
}

/** Sends what is typed, in order. When this input ends, so does that of the shell. */
async function type(id) {
  let offset = 0;
  const send = async (input) => {
    ({
      sendInput: { nextOffset: offset },
    } = await graphql(SEND, { input: { executionId: id, offset, ...input } }));
  };
  for await (const piece of stdin) await send({ data: { base64: piece.toString('base64') } });
  await send({ close: true });
}

const HOUR_MS = 3_600_000;
const shell = {
  language: 'BASH',
  code: 'exec bash -i',
  pty: size(),
  keepAlive: true,
  timeoutMs: HOUR_MS,
};
const input = { userUuid, ...shell, idempotencyKey: randomUUID() };
const { id } = (await graphql(SUBMIT, { input })).submit;
stdout.on('resize', () => graphql(RESIZE, { id, ...size() }).catch(() => {}));
if (stdin.isTTY) stdin.setRawMode(true);
const ended = show(id);
const typed = type(id).catch((problem) => {
  // What was typed when the shell has ended is for nobody.
  if (problem.code !== 'INPUT_CLOSED') throw problem;
});
process.exitCode = await Promise.race([ended, typed.then(() => ended)]);
await graphql(RELEASE, { input: { userUuid } });
await socket.dispose();
stdin.destroy();
