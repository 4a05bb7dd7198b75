/**
 * What docs/run/standby.md promises: a standby of Debian's PostgreSQL takes over from a primary that dies under load. All
 * connections of gateways have TLS, by the URL that docs/run/database.md names.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/postgres/server.ts';
import { lostHistory } from '../../src/process/dataDir.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { expectLossless, startOutageLoad } from '../support/outageLoad.ts';
import { type ReplicatedPostgres, startReplicatedPostgres } from '../support/replicatedPostgres.ts';

const TIMEOUT_MS = 240_000;
const PHASE_MS = 3_000;
const USER = 'ann';

let postgres: ReplicatedPostgres;
let gateway: TestGateway;
beforeEach(async () => {
  postgres = await startReplicatedPostgres();
  const settings = { DATABASE_URL: postgres.url, ...postgres.settings, MAX_TOTAL_WORKERS: '8' };
  gateway = await startTestGateway(settings);
}, TIMEOUT_MS);
afterEach(async () => {
  await gateway.destroy();
  await postgres.destroy();
}, TIMEOUT_MS);

/** Counts in the session of {@link USER}. Each call has a key of its own. */
const count = async (call: number) =>
  await execute(gateway, USER, "n = globals().get('n', 0) + 1; n", { idempotencyKey: `${call}` });

/** The results of all calls of {@link USER} that are recorded, oldest first. */
async function recorded(): Promise<readonly (string | null)[]> {
  const { data } = await gateway.graphql<{
    session: { executions: { edges: readonly { node: { resultText: string | null } }[] } };
  }>(
    'query Recorded($user: String!) { session(userUuid: $user) { executions { edges { node { resultText } } } } }',
    { user: USER },
  );
  return (data?.session.executions.edges ?? []).map(({ node }) => node.resultText).toReversed();
}

it(
  'the certificate of PostgreSQL is checked, and connections without TLS are refused',
  async () => {
    const verify = async (changes: Readonly<Record<string, string>>) =>
      await runCli(['audit', 'verify'], { ...gateway.env, ...changes });
    expect(await verify({})).toMatchObject({ code: 0 });
    const unknown = await verify({ NODE_EXTRA_CA_CERTS: '' });
    expect(unknown).toMatchObject({ code: 1, output: expect.stringContaining('self-signed') });
    const [DATABASE_URL = ''] = postgres.url.split('?');
    const plain = await verify({ DATABASE_URL });
    expect(plain).toMatchObject({ code: 1, output: expect.stringContaining('no encryption') });
  },
  TIMEOUT_MS,
);

describe('a standby that takes over', () => {
  it(
    'has everything that was acknowledged if it is synchronous, and the same gateway goes on',
    async () => {
      await postgres.makeSynchronous();
      const { pid } = gateway;
      const load = await startOutageLoad(gateway, 4 * PHASE_MS);
      await delay(PHASE_MS);
      // From here on, nothing can be acknowledged.
      await postgres.separate();
      await delay(PHASE_MS);
      await postgres.failOver();
      await delay(PHASE_MS);
      await expectLossless(gateway, load.printing, await load.stop());
      expect(gateway.pid).toBe(pid);
      expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
      expect((await runCli(['audit', 'verify'], gateway.env)).code).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'lacks the last calls if it is asynchronous: the gateway ends, and after a restart it continues what the standby has',
    async () => {
      await execute(gateway, 'idle', 'kept = 7');
      const code = 'import time\nfor n in range(600): print(n); time.sleep(0.1)';
      const { id } = await submit(gateway, 'printing', code, { timeoutMs: 120_000 });
      for (let call = 1; call <= 5; call += 1) await count(call);
      await delay(PHASE_MS);
      await postgres.separate();
      for (let call = 6; call <= 10; call += 1) await count(call);
      // Five quick calls may be over before the worker has freed any output that was stored since the separation.
      await delay(PHASE_MS);
      await postgres.failOver();
      await until('the gateway ends', async () => !isAlive(gateway.pid));
      expect(gateway.log()).toContain('Start the gateway again');
      expect(lostHistory(gateway.dataDir)?.message).toContain('no longer has event');
      await gateway.restart();
      expect(await recorded()).toEqual(['1', '2', '3', '4', '5']);
      // The session of a user who called meanwhile has gone further than its records.
      expect(await count(10)).toMatchObject({ status: 'WORKER_LOST', stateLost: true });
      expect(await count(11)).toMatchObject({ status: 'OK', resultText: '1' });
      // Output was stored and acknowledged meanwhile, so the worker does not have it any more.
      const outputs = await follow(gateway.socket(), id);
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'WORKER_LOST' } });
      expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
      expect(await execute(gateway, 'idle', 'kept')).toMatchObject({
        resultText: '7',
        stateLost: false,
      });
    },
    TIMEOUT_MS,
  );
});
