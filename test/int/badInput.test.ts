/**
 * Bad input gets a stable code, the field and the limit, over HTTP and WebSocket alike, and has no effect. The gateway
 * is composed as in the product, and its workers are programmed.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as ME } from '../../src/service/principal.ts';
import { clientOf } from '../../testkit/gateway.ts';
import { until } from '../../testkit/until.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import type { Known } from '../support/refusalRows.ts';
import { REFUSAL_SAMPLE, REFUSALS } from '../support/refusals.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';
import { type Ask, askOverHttp, askOverWebSocket } from '../support/transportServer.ts';

// Valid documents, each over one of the default limits (src/config/queries.ts).

interface OversizedDocument {
  readonly of: string;
  readonly query: string;
  readonly message: RegExp;
}

/** Outputs have a field for their execution, so the two can be nested without end. */
function nested(levels: number, leaf: string): string {
  if (levels === 0) return leaf;
  return `outputs { ... on ExecutionFinished { execution { ${nested(levels - 1, leaf)} } } }`;
}

const repeated = (count: number, field: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => field(index)).join(' ');

const OVERSIZED_DOCUMENTS: readonly OversizedDocument[] = [
  {
    of: 'MAX_QUERY_DEPTH',
    query: `{ execution(id: "x") { ${nested(6, 'status')} } }`,
    message: /depth limit of 12 exceeded, found 14/,
  },
  {
    of: 'MAX_QUERY_ALIASES',
    query: `{ ${repeated(31, (index) => `a${index}: viewer { tenant }`)} }`,
    message: /Aliases limit of 30 exceeded, found 31/,
  },
  {
    of: 'MAX_QUERY_DIRECTIVES',
    query: `{ viewer { ${repeated(51, () => 'tenant @include(if: true)')} } }`,
    message: /Directives limit of 50 exceeded, found 51/,
  },
  {
    of: 'MAX_QUERY_TOKENS',
    query: `{ viewer { ${repeated(5_000, () => 'tenant')} } }`,
    message: /5000 tokens/,
  },
  {
    of: 'MAX_QUERY_COST',
    query: `{ executions(userUuid: "x", first: 1000) { edges { node { ${repeated(50, () => 'status')} } } } }`,
    message: /Cost limit of 100000 exceeded, found \d+/,
  },
];

const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { status } }';

const { db, workers, start } = await useServiceGateways({
  MIN_IDLE_WORKERS: '1',
  MAX_TOTAL_WORKERS: '1',
  MAX_QUEUED_EXECUTIONS: '1',
});
const { service, server } = await start();
const url = `http://127.0.0.1:${(await server.listen()).port}`;
const token = 'a-token-for-tests';
const gateway = { url, token, socket: () => clientOf(url, token) };
const execute = (userUuid: string) => service.execute(ME, { userUuid, code: '1' });
const release = (userUuid: string) => service.release(ME, userUuid);

let known: Known;
/** Resolves when the pool is at rest: from then on nothing is recorded without a request. */
beforeAll(async () => {
  const { id, sessionId, workerId } = await execute('someone');
  await release('someone');
  await atRest();
  known = { executionId: id, sessionId, workerId };
});

async function atRest(): Promise<void> {
  await until('an idle worker and nothing else', async () => {
    const rows = await db.sql`SELECT state FROM workers WHERE state <> 'REMOVED'`;
    return rows.length === 1 && rows[0]?.state === 'IDLE';
  });
}

/** Counts all rows that a request can leave behind. */
async function recorded(): Promise<unknown> {
  const [row] = await db.sql`
    SELECT (SELECT count(*) FROM events)::int AS events,
      (SELECT count(*) FROM output_events)::int AS outputs,
      (SELECT count(*) FROM idempotency_keys)::int AS keys`;
  return row;
}

const overHttp: Ask = (query, variables) => askOverHttp(gateway, query, variables);
const overWebSocket: Ask = (query, variables) => askOverWebSocket(gateway, query, variables);
/** A refusal does not depend on the transport, so a sample of the refusals is enough for WebSocket. */
const TRANSPORTS = [
  ['HTTP', overHttp, REFUSALS],
  ['WebSocket', overWebSocket, REFUSAL_SAMPLE],
] as const;

describe.each(TRANSPORTS)('over %s', (transport, ask, refusals) => {
  it.each(refusals)('$at: refused if it $what, and nothing is recorded', async (refusal) => {
    const { query, given, beside, field, limit } = refusal;
    const before = await recorded();
    const { data, errors } = await ask(query, {
      value: given,
      ...(beside && { known: known[beside] }),
    });
    expect(Object.values(data ?? {}).filter((each) => each !== null)).toEqual([]);
    const named = { ...(field && { field }), ...(limit && { limit }) };
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', ...named } }]);
    for (const part of Object.values(named))
      expect(errors).toMatchObject([{ message: expect.stringContaining(String(part)) }]);
    expect(await recorded()).toEqual(before);
  });

  it('accepts values exactly at the limits', async () => {
    const { data, errors } = await ask(
      `query ($worker: ID!, $after: String!, $first: DateTime!, $last: DateTime!) {
        worker(id: $worker) { events(after: $after, first: 1000) { edges { cursor } } }
        events(after: $after) { edges { cursor } }
        executions(from: $first, to: $last, first: 1) { edges { node { id } } }
        sessionAt(userUuid: "someone", at: $first) { id }
        poolAt(at: $last) { idleWorkers } }`,
      {
        worker: known.workerId,
        after: '9'.repeat(15),
        first: '0001-01-02T00:00:00Z',
        last: '9999-12-30T23:59:59Z',
      },
    );
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({
      worker: { events: { edges: [] } },
      events: { edges: [] },
      executions: { edges: [{}] },
      sessionAt: null,
      poolAt: { idleWorkers: 1 },
    });
  });

  it.each(OVERSIZED_DOCUMENTS)('refuses a document over the limit of $of', async (document) => {
    const before = await recorded();
    const { data, errors } = await ask(document.query);
    expect(data ?? null).toBeNull();
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(document.message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(await recorded()).toEqual(before);
  });

  it.each([randomUUID(), 'no-uuid', '', '\u0000'])('finds nothing for the id %j', async (id) => {
    const before = await recorded();
    const query = `query ($id: ID!) { execution(id: $id) { id }
      worker(id: $id) { id } session(id: $id) { id } context(id: $id) { id }
      executions(sessionId: $id) { edges { cursor } } }`;
    expect((await ask(query, { id })).data).toEqual({
      execution: null,
      worker: null,
      session: null,
      context: null,
      executions: { edges: [] },
    });
    for (const refused of [
      'mutation ($id: ID!) { interrupt(input: { executionId: $id }) { id } }',
      'subscription ($id: ID!) { output(executionId: $id) { seq } }',
    ])
      expect((await ask(refused, { id })).errors).toMatchObject([
        { extensions: { code: 'NOT_FOUND' } },
      ]);
    expect(await recorded()).toEqual(before);
  });

  it('finds no session and no output for an unknown user', async () => {
    const before = await recorded();
    const { data } = await ask(`{ session(userUuid: "stranger") { id }
      sessionAt(userUuid: "stranger", at: "2026-01-31T12:00:00Z") { id } }`);
    expect(data).toEqual({ session: null, sessionAt: null });
    for (const refused of [
      'mutation { restartKernel(input: { userUuid: "stranger" }) { id } }',
      `subscription { sessionOutput(userUuid: "stranger", after: "${known.executionId}:1") { seq } }`,
    ])
      expect((await ask(refused)).errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    expect(
      (await ask('mutation { release(input: { userUuid: "stranger" }) { released } }')).data,
    ).toEqual({ release: { released: false } });
    expect(await recorded()).toEqual(before);
  });

  it.each(['{', '{ nothing }', 'mutation { execute { id } }', '', '\u0000', '"\ud800"'])(
    'answers the document %j with a code',
    async (query) => {
      expect((await ask(query)).errors).toEqual(
        expect.arrayContaining([
          expect.objectContaining({
            extensions: expect.objectContaining({ code: 'BAD_USER_INPUT' }),
          }),
        ]),
      );
    },
  );

  it('answers POOL_EXHAUSTED with a hint when to try again', async () => {
    await execute('first');
    const before = await recorded();
    const input = { userUuid: 'second', code: '1', idempotencyKey: 'k', waitForWorkerMs: 300 };
    expect((await ask(SUBMIT, { input })).errors).toMatchObject([
      { extensions: { code: 'POOL_EXHAUSTED', retryAfterMs: expect.any(Number) } },
    ]);
    expect(await recorded()).toEqual(before);
    expect((await ask('{ session(userUuid: "second") { id } }')).data).toEqual({ session: null });
    await release('first');
    await atRest();
  });

  it('answers QUEUE_FULL with the depth, and IDEMPOTENCY_CONFLICT for other code under a used key', async () => {
    const submit = (code: string, idempotencyKey: string) =>
      ask(SUBMIT, { input: { userUuid: transport, code, idempotencyKey } });
    workers.hold();
    await submit(HOLD, 'running');
    await submit('2', 'queued');
    // The start of the running code may be recorded at any time, so only executions and keys are compared.
    const accepted = () => db.sql`
        SELECT id FROM executions WHERE user_uuid = ${transport} ORDER BY id`;
    const before = await accepted();
    expect((await submit('3', 'one too many')).errors).toMatchObject([
      { extensions: { code: 'QUEUE_FULL', limit: 1, queued: 1 } },
    ]);
    expect((await submit('other', 'queued')).errors).toMatchObject([
      {
        extensions: {
          code: 'IDEMPOTENCY_CONFLICT',
          field: 'idempotencyKey',
          different: ['code'],
        },
      },
    ]);
    expect(await accepted()).toEqual(before);
    await release(transport);
    await atRest();
  });
});
