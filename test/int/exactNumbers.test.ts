/**
 * Whole numbers in an output's JSON keep all their digits, whichever way they take from the worker through a real
 * database to a client.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { Output } from '../../src/domain/output.ts';
import type { Database } from '../../src/events/database.ts';
import { parseFrame } from '../../src/kernel/frames/parseFrame.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  sessionOpened,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport, TOKEN, type TransportServer } from '../support/transportServer.ts';

/**
 * JSON as Python writes it. Each of its large whole numbers is one that a double cannot hold, or that JavaScript would
 * write with other digits.
 */
const DATA =
  '{"application/json":{"n":1152921504606846977,"list":[-9007199254740993,1152921504606846976,1e+300,0.1],"text":"1152921504606846977"},"n":100000000000000000000000000000000000000001}';
const METADATA = '{"application/json":{"id":9223372036854775807}}';
const OUTPUT = `"data":${DATA},"metadata":${METADATA}`;

const db = await useDatabase();
const [storing, other] = [await db.open(), await db.open()];
let execution: Execution;

/** The output as read from a worker's frame. */
function received(): Output {
  const frame = `{"seq":1,"channel":"iopub","header":{"msg_type":"display_data"},"parent_header":{},"metadata":{},"content":{${OUTPUT},"transient":{}}}`;
  const parsed = parseFrame(frame, 0);
  if (parsed.type !== 'message' || parsed.message.type !== 'output') throw new Error('No output.');
  return parsed.message.output;
}

beforeAll(async () => {
  const { id: sessionId } = await commitOne<'session'>(storing.store, sessionOpened());
  execution = await commitOne<'execution'>(storing.store, executionRequested({ sessionId }));
  const item = { executionId: execution.id, at: new Date() };
  await storing.store.commit({
    streams: [onExecution(execution, executionFinished())],
    outputs: [
      { ...item, seq: 1, output: received() },
      { ...item, seq: 2, output: { kind: 'finish' } },
    ],
  });
});

const FIELDS = '... on RichOutput { data metadata }';
const query = () => `{ execution(id: "${execution.id}") { outputs { ${FIELDS} } } }`;
const subscription = () => `subscription { output(executionId: "${execution.id}") { ${FIELDS} } }`;

/** The text of the answer. */
async function overHttp({ origin }: TransportServer, document: string): Promise<string> {
  const isStream = document.startsWith('subscription');
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Auth-Token': TOKEN,
      Accept: isStream ? 'text/event-stream' : 'application/json',
    },
    body: JSON.stringify({ query: document }),
  });
  return await response.text();
}

/** The texts of all messages up to the end. */
async function overWebSocket(server: TransportServer, document: string): Promise<string> {
  const { socket, send } = await server.connect();
  let all = '';
  const ended = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      all += String(data);
      if (all.includes('"complete"')) resolve();
    });
  });
  send({ id: '1', type: 'subscribe', payload: { query: document } });
  await ended;
  return all;
}

describe.each([
  ['on the gateway that has stored them', storing],
  ['on another gateway', other],
])('%s', (_name, database: Database) => {
  it.each([
    ['an answer over HTTP', overHttp, query],
    ['an answer over a WebSocket', overWebSocket, query],
    ['server-sent events', overHttp, subscription],
    ['a subscription over a WebSocket', overWebSocket, subscription],
  ])('all digits arrive in %s', async (_way, ask, document) => {
    const server = await startTransport(databaseService(database));
    expect(await ask(server, document())).toContain(OUTPUT);
  });
});

it('the database keeps all digits', async () => {
  const [row] = await db.sql<{ body: string }[]>`
    SELECT body::text AS body FROM output_events WHERE execution_id = ${execution.id} AND seq = 1`;
  expect(row?.body).toContain(OUTPUT);
});
