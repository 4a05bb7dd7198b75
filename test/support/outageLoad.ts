/**
 * Users at work during an outage: some count in their sessions, one prints for as long as the load lasts, and new users
 * arrive all the time. Each call is recorded with its answer for the test to judge.
 */
import { randomUUID } from 'node:crypto';
import { pause } from '../../src/async/pause.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { submit } from '../../testkit/interpreter.ts';

const COUNTING_USERS = 3;
/** The pause between two calls of one user: a normal load, not a flood. */
const PAUSE_MS = 100;
/** How often a new user arrives, and how long each waits for a worker. */
const NEWCOMER_INTERVAL_MS = 2_000;
export const NEWCOMER_WAIT_MS = 3_000;
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

export interface OutageLoad {
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
