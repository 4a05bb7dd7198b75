/**
 * Calls arrive at the services of two gateways on one PostgreSQL, in any order. The tests check what each key has run
 * and what each caller was answered (issue 5, acceptance 5). The workers are programmed. Everything from the service to
 * the workers' sockets is real.
 */
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { createProgrammedRuntime, HOLD } from '../support/programmedRuntime.ts';
import { fc } from '../support/seeded.ts';
import { startServingGateway } from '../support/serviceGateways.ts';

/** Each run makes a few dozen calls. */
const RUNS = 100;
const TIMEOUT_MS = 120_000;
const CODES = [HOLD, 'quick'] as const;

const db = await useDatabase();
const socketDir = mkdtempSync(join(tmpdir(), 'ch-keys-'));
const workers = createProgrammedRuntime();
const start = async () =>
  startServingGateway({ database: await db.open(), runtime: workers.runtime, socketDir });
const gateways = [await start(), await start()];
afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  await workers.close();
  rmSync(socketDir, { recursive: true, force: true });
});

const gateway = fc.nat({ max: 1 });
const user = fc.constantFrom('ann', 'bob');
const key = fc.constantFrom('k1', 'k2');
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom('execute' as const, 'submit' as const),
      gateway,
      user,
      key,
      code: fc.constantFrom(...CODES),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('interrupt' as const), gateway, user, key }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('release' as const), gateway, user }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
/** All calls of a wave are sent at once; the next wave follows when they have been answered. */
const waves = fc.array(fc.array(operation, { minLength: 1, maxLength: 12 }), {
  minLength: 1,
  maxLength: 4,
});

interface Told {
  readonly user: string;
  readonly key: string;
  readonly code: string;
  /** The execution's id or the error's code. */
  readonly answer: string;
}

/** Each run has its own users, so that its keys are new. */
function createHistory() {
  const name = newId();
  const told: Told[] = [];
  const userUuid = (of: string) => `${of}-${name}`;

  async function call(op: Extract<Operation, { type: 'execute' | 'submit' }>): Promise<void> {
    const { user, key, code } = op;
    const request = { userUuid: userUuid(user), code, idempotencyKey: key };
    const answer = await serviceOf(op)
      [op.type](AUTH_TOKEN_HOLDER, request)
      .then(({ id }) => id, codeOf);
    told.push({ user, key, code, answer });
  }

  async function interrupt(op: Extract<Operation, { type: 'interrupt' }>): Promise<void> {
    const [row] = await db.sql<{ id: string }[]>`
      SELECT id FROM executions WHERE user_uuid = ${userUuid(op.user)} AND idempotency_key = ${op.key}`;
    if (row) await serviceOf(op).interrupt(AUTH_TOKEN_HOLDER, row.id);
  }

  return {
    told,
    userUuid,
    run: async (op: Operation): Promise<void> => {
      if (op.type === 'interrupt') await interrupt(op);
      else if (op.type === 'release')
        await serviceOf(op).release(AUTH_TOKEN_HOLDER, userUuid(op.user));
      else await call(op);
    },
    release: async () => {
      for (const of of ['ann', 'bob'])
        await gateways[0]?.service.release(AUTH_TOKEN_HOLDER, userUuid(of));
    },
  };
}

function serviceOf({ gateway: index }: { readonly gateway: number }) {
  const found = gateways[index];
  if (!found) throw new Error('There are two gateways.');
  return found.service;
}

function codeOf(error: unknown): string {
  if (error instanceof DomainError) return error.code;
  throw error;
}

async function runWaves(history: ReturnType<typeof createHistory>, all: readonly Operation[][]) {
  for (const wave of all) {
    workers.hold();
    const running = wave.map((op) => ({ op, done: history.run(op) }));
    // Calls that wait for a held execution are answered when it is released.
    await Promise.all(running.map(({ op, done }) => (op.type === 'execute' ? null : done)));
    workers.letGo();
    await Promise.all(running.map(({ done }) => done));
  }
}

async function expectOncePerKey({ told, userUuid }: ReturnType<typeof createHistory>) {
  const rows = await db.sql<{ id: string; userUuid: string; key: string; ends: number }[]>`
    SELECT x.id, x.user_uuid, x.idempotency_key AS key,
      (SELECT count(*)::int FROM events e
       WHERE e.stream_id = 'execution-' || x.id AND e.type = 'ExecutionFinished') AS ends
    FROM executions x WHERE x.user_uuid IN (${userUuid('ann')}, ${userUuid('bob')})`;
  const names = rows.map((row) => `${row.userUuid} ${row.key}`);
  expect(new Set(names).size).toBe(names.length);
  for (const { id, ends } of rows) {
    expect(ends).toBe(1);
    expect(workers.begun.filter((begun) => begun === id).length).toBeLessThanOrEqual(1);
  }
  for (const { user, key, code, answer } of told) {
    const row = rows.find((each) => each.userUuid === userUuid(user) && each.key === key);
    const isSameCode = told.some((each) => each.answer === row?.id && each.code === code);
    // Callers that sent the code that runs under the key get its id; all others learn that the key is taken.
    expect(answer).toBe(isSameCode ? row?.id : 'IDEMPOTENCY_CONFLICT');
  }
}

it('code runs once under its key, and all callers with the same key and code get that run', {
  timeout: TIMEOUT_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(waves, async (all) => {
      const history = createHistory();
      await runWaves(history, all);
      await history.release();
      await expectOncePerKey(history);
    }),
    { numRuns: RUNS },
  );
});

it('no guess of the code yields a hash in the table of keys, and two keys with the same code have different hashes', async () => {
  const userUuid = newId();
  for (const idempotencyKey of ['k1', 'k2'])
    await gateways[0]?.service.execute(AUTH_TOKEN_HOLDER, {
      userUuid,
      code: 'guess',
      idempotencyKey,
    });
  const rows = await db.sql<{ requestHash: string }[]>`
    SELECT request_hash FROM idempotency_keys WHERE user_uuid = ${userUuid}`;
  const [first, second] = rows.map(({ requestHash }) => requestHash);
  expect(first).toMatch(/^v1:\{"code":"[\w-]{43}"\}$/);
  expect(second).not.toBe(first);
  const stored = rows.map(({ requestHash }) => requestHash).join();
  for (const text of ['guess', '"guess"']) {
    for (const key of [null, '', 'k1', userUuid, 'default', 'request-hash']) {
      const guess = key === null ? createHash('sha256') : createHmac('sha256', key);
      expect(stored).not.toContain(guess.update(text).digest('base64url'));
    }
  }
});

it('gateways that start at the same time on an empty database share one secret', async () => {
  const own = await useDatabase(onTestFinished);
  const databases = await Promise.all([own.open(), own.open(), own.open()]);
  const propose = ({ queries }: (typeof databases)[number], index: number) =>
    queries.sharedSecret('of this test', `${index}`);
  const found = await Promise.all(databases.map(propose));
  expect(new Set(found).size).toBe(1);
  expect(['0', '1', '2']).toContain(found[0]);
});

it('a key is free again when IDEMPOTENCY_TTL_MS have passed', async () => {
  const own = await useDatabase(onTestFinished);
  const runtime = createProgrammedRuntime();
  const gateway = await startServingGateway({
    database: await own.open(),
    runtime: runtime.runtime,
    socketDir,
    settings: { IDEMPOTENCY_TTL_MS: '5000' },
  });
  const run = (code: string) =>
    gateway.service
      .execute(AUTH_TOKEN_HOLDER, { userUuid: 'ann', code, idempotencyKey: 'k' })
      .then(({ id }) => id, codeOf);
  const first = await run('1');
  expect(await run('1')).toBe(first);
  expect(await run('2')).toBe('IDEMPOTENCY_CONFLICT');
  const later = await until('a free key', async () => {
    const answer = await run('2');
    return answer !== 'IDEMPOTENCY_CONFLICT' && answer;
  });
  expect(later).not.toBe(first);
  expect(runtime.begun).toEqual([first, later]);
  await gateway.close();
  await runtime.close();
});
