/**
 * Users at work during an outage: some count in their sessions, one prints for as long as the load lasts, and new users
 * arrive all the time. Each call is recorded with its answer for the test to judge.
 */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { pause } from '../../src/async/pause.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { follow, submit } from '../../testkit/interpreter.ts';

const COUNTING_USERS = 3;
/** The pause between two calls of one user: a normal load, not a flood. */
const PAUSE_MS = 100;
/** How often a new user arrives, and how long each waits for a worker. */
const NEWCOMER_INTERVAL_MS = 2_000;
const NEWCOMER_WAIT_MS = 3_000;
const LINE_INTERVAL_MS = 100;

export interface Call {
  /** `performance.now()`. */
  readonly startedAt: number;
  readonly tookMs: number;
  /** The code of the GraphQL error; null: the call was executed. */
  readonly code: string | null;
  readonly status: string | null;
  readonly stateLost: boolean;
  readonly resultText: string | null;
}

interface OutageLoad {
  /** The execution that prints `line 0`, `line 1`, ... */
  readonly printing: string;
  /** Ends the load once every user has an answer. May be called again. */
  stop(): Promise<OutageReport>;
}

export interface OutageReport {
  /** Each user's answers to the calls 1, 2, 3, ...; a call is sent again under its key until it is executed. */
  readonly counting: readonly (readonly Call[])[];
  readonly newcomers: readonly Call[];
  /** The complete output of `printing`. */
  readonly printed: string;
}

/** Resolves when each counting user has a session and the printing has begun. @param lastsMs how long it prints */
export async function startOutageLoad(gateway: TestGateway, lastsMs: number): Promise<OutageLoad> {
  const stopped = new AbortController();
  const names = Array.from({ length: COUNTING_USERS }, (_, index) => `counting-${index}`);
  const lines = Math.ceil(lastsMs / LINE_INTERVAL_MS);
  const code = `import time\nfor i in range(${lines}):\n    print('line', i)\n    time.sleep(${LINE_INTERVAL_MS / 1_000})`;
  const [{ id }] = await Promise.all([
    submit(gateway, 'printing', code, { timeoutMs: 300_000 }),
    ...names.map((user) => call(gateway, user, 'n = 0')),
  ]);
  const counting = names.map((user) => count(gateway, user, stopped.signal));
  const newcomers = welcome(gateway, stopped.signal);
  return {
    printing: id,
    stop: async () => {
      stopped.abort();
      return {
        counting: await Promise.all(counting),
        newcomers: await newcomers,
        printed: Array.from({ length: lines }, (_, index) => `line ${index}\n`).join(''),
      };
    },
  };
}

async function count(gateway: TestGateway, user: string, stopped: AbortSignal): Promise<Call[]> {
  const calls: Call[] = [];
  const load = randomUUID();
  for (let number = 1; !stopped.aborted || calls.at(-1)?.code !== null; ) {
    const idempotencyKey = `${load}-${number}`;
    const answer = await call(gateway, user, 'n += 1\nn', { idempotencyKey });
    calls.push(answer);
    if (answer.code === null) number += 1;
    await pause(PAUSE_MS);
  }
  return calls;
}

/** Each new user arrives, waits {@link NEWCOMER_WAIT_MS} at most for a worker, and leaves. */
async function welcome(gateway: TestGateway, stopped: AbortSignal): Promise<Call[]> {
  const calls: Promise<Call>[] = [];
  while (!stopped.aborted) {
    calls.push(visit(gateway, `newcomer-${calls.length}`));
    await pause(NEWCOMER_INTERVAL_MS, stopped);
  }
  return await Promise.all(calls);
}

async function visit(gateway: TestGateway, user: string): Promise<Call> {
  const answer = await call(gateway, user, '1', { waitForWorkerMs: NEWCOMER_WAIT_MS });
  await gateway.graphql(
    'mutation Leave($user: String!) { release(input: { userUuid: $user }) { released } }',
    { user },
  );
  return answer;
}

interface Answer {
  readonly execute: Pick<Call, 'stateLost' | 'resultText'> & { readonly status: string };
}

/** @throws Error when there is no answer at all */
async function call(
  gateway: TestGateway,
  userUuid: string,
  code: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<Call> {
  const startedAt = performance.now();
  const { data, errors } = await gateway.graphql<Answer>(
    'mutation Call($input: ExecuteInput!) { execute(input: $input) { status stateLost resultText } }',
    { input: { userUuid, code, ...options } },
  );
  const tookMs = performance.now() - startedAt;
  // An answer with errors beside its data is incomplete: the code ran, but a field of it could not be read.
  if (data && !errors) return { startedAt, tookMs, code: null, ...data.execute };
  const said = errors?.[0]?.extensions?.code ?? 'NO_CODE';
  return { startedAt, tookMs, code: said, status: null, stateLost: false, resultText: null };
}

// Checks for tests of outages: what is reported, how sessions ended, and how calls were answered meanwhile.

/** A call in a session never goes through the engine, so this only allows for a busy machine. */
const LIVE_CALL_LIMIT_MS = 4_000;
/** Added to the limit that a new user names, also for a busy machine. */
const ANSWER_ALLOWANCE_MS = 3_000;

export interface Outage {
  readonly from: number;
  readonly to: number;
}

/** The reason in `poolStatus`; null: none. */
export async function degradation(gateway: TestGateway): Promise<string | null> {
  const { data } = await gateway.graphql<{
    poolStatus: { degradation: { reason: string } | null };
  }>('{ poolStatus { degradation { reason } } }');
  return data?.poolStatus.degradation?.reason ?? null;
}

/** Expects that `/readyz` counts the gateway as ready, and says why it can make no worker. */
export async function expectDegraded(gateway: TestGateway, words: string): Promise<void> {
  const ready = await fetch(`${gateway.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'degraded', reasons: [expect.stringContaining(words)] },
  ]);
}

/** The refusal that a user without a session gets after waiting a second for a worker; null: the user was served. */
export async function refusal(gateway: TestGateway, userUuid: string): Promise<unknown> {
  const { errors } = await gateway.graphql(
    'mutation Come($input: ExecuteInput!) { execute(input: $input) { id } }',
    { input: { userUuid, code: '1', waitForWorkerMs: 1_000 } },
  );
  return errors?.[0]?.extensions?.code ?? null;
}

/** How the user's last session and its worker ended. */
export async function endOf(gateway: TestGateway, user: string): Promise<(string | undefined)[]> {
  const { data } = await gateway.graphql<{
    session: { closeReason: string; worker: { endReason: string } };
  }>(
    'query End($user: String!) { session(userUuid: $user) { closeReason worker { endReason } } }',
    { user },
  );
  return [data?.session.closeReason, data?.session.worker.endReason];
}

/**
 * Every call of the counting users ran once, in order and in the same kernel; the printing user's output is complete.
 */
export async function expectLossless(
  gateway: TestGateway,
  printing: string,
  { counting, printed, newcomers }: OutageReport,
): Promise<void> {
  for (const calls of counting) {
    const executed = calls.filter(({ code }) => code === null);
    expect(executed.map(({ resultText }) => resultText)).toEqual(
      executed.map((_, index) => String(index + 1)),
    );
    expect(executed.filter(({ stateLost }) => stateLost)).toEqual([]);
    expectClear(calls);
  }
  expectClear(newcomers);
  const outputs = await follow(gateway.socket(), printing);
  expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
  expect(outputs.map(({ text }) => text ?? '').join('')).toBe(printed);
  expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
}

/** Callers that are not served get a code that says to try again. */
function expectClear(calls: readonly Call[]): void {
  const codes = calls.flatMap(({ code }) => code ?? []);
  const allowed = ['DATABASE_UNAVAILABLE', 'POOL_EXHAUSTED', 'POOL_INITIALIZING'];
  expect(codes.filter((code) => !allowed.includes(code))).toEqual([]);
}

/** Expects that the same kernel has served every call promptly, and that each call ran once. */
export function expectWhole(calls: readonly Call[]): void {
  expect(calls.map(({ resultText }) => resultText)).toEqual(
    calls.map((_, index) => String(index + 1)),
  );
  expect(calls.filter(({ stateLost }) => stateLost)).toEqual([]);
  expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(LIVE_CALL_LIMIT_MS);
}

/** Expects that each newcomer was served or refused in time, and that refusals within the outage give its reason. */
export function expectServedOrTold(newcomers: readonly Call[], { from, to }: Outage): void {
  for (const { tookMs, code } of newcomers) {
    expect(tookMs).toBeLessThan(NEWCOMER_WAIT_MS + ANSWER_ALLOWANCE_MS);
    expect([null, 'WORKER_START_FAILED', 'POOL_EXHAUSTED']).toContain(code);
  }
  const meanwhile = newcomers.filter(
    ({ startedAt, tookMs }) => startedAt > from && startedAt + tookMs < to,
  );
  const told = meanwhile.flatMap(({ code }) => code ?? []);
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told)).toEqual(new Set(['WORKER_START_FAILED']));
}
