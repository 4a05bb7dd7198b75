/**
 * Sixteen clients of three gateways use all that their quotas allow, while gateways are killed. Afterwards, the events
 * show that no count was ever above its limit, and that refused calls have left nothing.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRandom } from '../../chaos/random.ts';
import { pause } from '../../src/async/pause.ts';
import { postGraphql, type TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus } from '../../testkit/interpreter.ts';
import {
  type ReplayedEvent,
  type ReplayedLimit,
  replayQuotas,
} from '../../testkit/replayQuotas.ts';
import { until } from '../../testkit/until.ts';
import { EXTENT } from '../extent.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { SEED } from '../support/seeded.ts';

const CLIENTS = 16;
const USERS = 5;
const MAX_COMMANDS = 2;
const RUN_MS = EXTENT.quotaSeconds * 1_000;
/** A gateway needs about a second to serve again. */
const BETWEEN_KILLS_MS = 1_000;
/** A client pauses after a refusal: refusals are frequent, and would take the CPUs from other calls. */
const AFTER_REFUSAL_MS = 20;
/** One call in this many is a release. Releases are rare because each uses up a worker. */
const CALLS_PER_RELEASE = 40;

const LIMITED_USER = 'user-0';

/** Two tenants. The second has no limit but that of executions in a minute. */
const LIMITS: readonly ReplayedLimit[] = [
  { kind: 'OPEN_SESSIONS', tenant: 'default', userUuid: null, limit: 3 },
  { kind: 'RUNNING_EXECUTIONS', tenant: 'default', userUuid: null, limit: 4 },
  { kind: 'QUEUED_EXECUTIONS', tenant: 'default', userUuid: null, limit: 5 },
  { kind: 'QUEUED_EXECUTIONS', tenant: 'default', userUuid: LIMITED_USER, limit: 2 },
  { kind: 'EXECUTIONS_PER_MINUTE', tenant: 'brisk', userUuid: null, limit: 25 },
];
/** What clients run: cells that end at once and that take a while, and commands. */
const CODES = [
  { code: '1' },
  { code: 'import time; time.sleep(0.4)' },
  { code: 'sleep 0.4', language: 'BASH' },
] as const;
/** The errors that a call may get while gateways are killed, besides a lost connection. */
const EXPECTED = [
  'POOL_EXHAUSTED',
  'POOL_INITIALIZING',
  'SHUTTING_DOWN',
  'QUEUE_FULL',
  'DATABASE_UNAVAILABLE',
];

let installation: TestInstallation;
let gateways: TestGateway[];
let briskToken: string;
beforeAll(async () => {
  installation = await createInstallation({
    MIN_IDLE_WORKERS: '5',
    MAX_TOTAL_WORKERS: '5',
    MAX_COMMANDS: String(MAX_COMMANDS),
    QUOTA_TENANT_OPEN_SESSIONS: '3',
  });
  gateways = await Promise.all([1, 2, 3].map(() => installation.start()));
  const [first] = gateways as [TestGateway];
  // QUOTA_TENANT_OPEN_SESSIONS above sets the first limit.
  for (const { kind, tenant, userUuid, limit } of LIMITS.slice(1)) {
    const input = { kind, tenant, userUuid, limit };
    const { data } = await first.graphql(
      'mutation ($input: SetQuotaInput!) { setQuota(input: $input) { limit } }',
      { input },
    );
    expect(data).toEqual({ setQuota: { limit } });
  }
  const { data } = await first.graphql<{ createToken: { secret: string } }>(
    'mutation { createToken(input: { name: "brisk", role: TENANT, tenant: "brisk" }) { secret } }',
  );
  briskToken = data?.createToken.secret ?? '';
  // The workers must be made before the kills begin: a killed gateway would not finish them.
  await until('the workers', async () => (await poolStatus(first)).idleWorkers === 5, 60_000);
  await execute(first, LIMITED_USER, '1');
});
afterAll(() => installation.destroy());

/** What became of the calls. */
interface Tally {
  accepted: number;
  /** The key of each refused call, and the kind and scope of the quota. */
  readonly refused: { readonly key: string; readonly quota: string }[];
  readonly unexpected: unknown[];
}

const RELEASE =
  'mutation ($userUuid: String!) { release(input: { userUuid: $userUuid }) { released } }';
const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }';

const random = createRandom(SEED);
const below = (count: number) => random.between(0, count - 1);

/** Sends one call to a random gateway, which may have been killed. */
async function call(key: string, isBrisk: boolean, tally: Tally): Promise<void> {
  const { url: origin, token: authToken } = gateways[below(gateways.length)] as TestGateway;
  const [url, token] = [`${origin}/graphql`, isBrisk ? briskToken : authToken];
  // The smaller of two random numbers: the first user, who has a limit of their own, gets more calls than any other.
  const userUuid = isBrisk ? 'brisk' : `user-${Math.min(below(USERS), below(USERS))}`;
  if (!isBrisk && userUuid !== LIMITED_USER && below(CALLS_PER_RELEASE) === 0) {
    await postGraphql(url, token, RELEASE, { userUuid });
    return;
  }
  const code = isBrisk ? CODES[0] : CODES[below(CODES.length)];
  const input = { userUuid, ...code, idempotencyKey: key, waitForWorkerMs: 2_000 };
  const { data, errors = [] } = await postGraphql<{ submit: object }>(url, token, SUBMIT, {
    input,
  });
  if (data?.submit) tally.accepted += 1;
  for (const { extensions = {} } of errors) {
    const { code: name = '', quota, scope } = extensions;
    if (name === 'QUOTA_EXCEEDED') tally.refused.push({ key, quota: `${quota} ${scope}` });
    else if (!EXPECTED.includes(name)) tally.unexpected.push(errors);
  }
  if (errors.length > 0) await pause(AFTER_REFUSAL_MS);
}

async function useAll(client: number, tally: Tally, isOver: () => boolean): Promise<void> {
  for (let count = 0; !isOver(); count += 1) {
    // fetch throws this if the connection breaks.
    await call(`${client}-${count}`, client % 8 === 7, tally).catch((error: unknown) => {
      if (!(error instanceof TypeError)) throw error;
    });
  }
}

async function killAll(isOver: () => boolean): Promise<void> {
  for (let index = 0; !isOver(); index += 1) {
    const gateway = gateways[index % gateways.length] as TestGateway;
    await pause(BETWEEN_KILLS_MS);
    await gateway.kill('SIGKILL');
    await gateway.restart();
  }
}

it(
  'parallel clients of three gateways that are killed exceed no quota, and refused calls leave no rows',
  async () => {
    const tally: Tally = { accepted: 0, refused: [], unexpected: [] };
    const endsAt = performance.now() + RUN_MS;
    const isOver = () => performance.now() > endsAt;
    const clients = Array.from({ length: CLIENTS }, (_, client) => useAll(client, tally, isOver));
    await Promise.all([killAll(isOver), ...clients]);

    expect(tally.unexpected).toEqual([]);
    expect(tally.accepted).toBeGreaterThan(EXTENT.quotaSeconds);
    const { exceeded } = replayQuotas(await eventsOf(installation), LIMITS, {
      maxCommands: MAX_COMMANDS,
    });
    expect(exceeded).toEqual([]);
    // Every limit was reached.
    const reached = LIMITS.map(({ kind, userUuid }) => `${kind} ${userUuid ? 'USER' : 'TENANT'}`);
    expect([...new Set(tally.refused.map(({ quota }) => quota))].sort()).toEqual(reached.sort());
    const keys = tally.refused.map(({ key }) => key);
    const left = await installation.sql`
    SELECT idempotency_key AS key FROM executions WHERE idempotency_key = ANY (${keys})
    UNION ALL SELECT key FROM idempotency_keys WHERE key = ANY (${keys})`;
    expect(left).toEqual([]);
  },
  RUN_MS + 60_000,
);

async function eventsOf({ sql }: TestInstallation): Promise<readonly ReplayedEvent[]> {
  return await sql<ReplayedEvent[]>`
    SELECT position, xmin::text AS transaction, stream_id, type, data, recorded_at FROM events ORDER BY position`;
}
