/** A mixed load: some users stay and do all kinds of steps in turn, while visitors come for one call and go. */

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestGateway } from '../testkit/gateway.ts';
import {
  execute,
  follow,
  interrupt,
  poolStatus,
  printed,
  release,
  restartKernel,
  submit,
} from '../testkit/interpreter.ts';
import { until } from '../testkit/until.ts';

/** Pause between two visitors, because each costs a container. */
const VISIT_PAUSE_MS = 1_000;
/** Generous, because a busy machine may need long to make a worker. */
const SETTLE_LIMIT_MS = 60_000;

interface MixedLoad {
  /**
   * Runs the load for this long, then waits until all is done and the pool is at rest.
   * @throws Error if a step failed
   */
  run(ms: number): Promise<void>;
  /** How often each step has been done. */
  readonly counts: ReadonlyMap<string, number>;
}

export function createMixedLoad(gateway: TestGateway, users: readonly string[]): MixedLoad {
  const counts = new Map<string, number>();
  const steps = Object.entries(STEPS);
  // Each user begins with another step, so that different steps run at the same time.
  const next = new Map(
    users.map((user, n) => [user, Math.floor((n * steps.length) / users.length)]),
  );

  function count(name: string): void {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  async function work(user: string, end: number): Promise<void> {
    while (performance.now() < end) {
      const at = next.get(user) ?? 0;
      next.set(user, at + 1);
      const [name = '', step] = steps[at % steps.length] ?? [];
      await step?.(gateway, user).catch((cause: unknown) => {
        throw new Error(`The step "${name}" of ${user} failed.`, { cause });
      });
      count(name);
    }
  }

  async function visit(end: number): Promise<void> {
    while (performance.now() < end) {
      await VISIT(gateway, '');
      count('visit');
      await delay(Math.max(0, Math.min(VISIT_PAUSE_MS, end - performance.now())));
    }
  }

  async function atRest(): Promise<void> {
    // This code runs only after everything that the user has left running.
    for (const user of users) await execute(gateway, user, '1');
    await until(
      'the pool at rest',
      async () => {
        const { startingWorkers, busyWorkers, idleWorkers } = await poolStatus(gateway);
        return startingWorkers === 0 && busyWorkers === users.length && idleWorkers > 0;
      },
      SETTLE_LIMIT_MS,
    );
  }

  return {
    counts,
    async run(ms) {
      const end = performance.now() + ms;
      await Promise.all([...users.map((user) => work(user, end)), visit(end)]);
      await atRest();
    },
  };
}

// The steps that users of a soak perform. Each checks its own result.

/** @throws Error if the result is wrong */
type Step = (gateway: TestGateway, user: string) => Promise<void>;

const LINES = 300;
const STREAM = `import time
for i in range(${LINES}):
    print(i)
    if i % 100 == 99: time.sleep(0.05)`;
const ENDLESS = "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.01)";
const FIGURE = 'import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()';
const LARGE_CHARACTERS = 300_000;
const SHORT_LIMIT_MS = 150;
const LONG_LIMIT_MS = 60_000;

/** The steps of a user who stays, repeated in this order. */
export const STEPS: Readonly<Record<string, Step>> = {
  async execute(gateway, user) {
    for (let n = 0; n < 10; n += 1) await expectStatus(gateway, user, `${n} + 1`, 'OK');
  },
  async stream(gateway, user) {
    const { id } = await submit(gateway, user, STREAM);
    const client = gateway.socket();
    const outputs = await follow(client, id);
    await client.dispose();
    const lines = outputs
      .map(({ text = '' }) => text)
      .join('')
      .trimEnd()
      .split('\n');
    if (lines.length !== LINES) throw new Error(`${lines.length} lines of ${LINES} came.`);
  },
  async 'stream left early'(gateway, user) {
    const { id } = await submit(gateway, user, STREAM);
    const client = gateway.socket();
    await printed(client, id, 1);
    await client.dispose();
  },
  async interrupt(gateway, user) {
    const { id } = await submit(gateway, user, ENDLESS, { timeoutMs: LONG_LIMIT_MS });
    const client = gateway.socket();
    await printed(client, id, 1);
    const { id: waiting } = await submit(gateway, user, '1');
    expectEqual(await interrupt(gateway, waiting), 'CANCELLED');
    expectEqual(await interrupt(gateway, id), 'INTERRUPTED');
    await client.dispose();
  },
  async figure(gateway, user) {
    const { resultBase64 } = await execute(gateway, user, FIGURE, { timeoutMs: LONG_LIMIT_MS });
    if (resultBase64 === null) throw new Error('There is no figure.');
  },
  async 'large output'(gateway, user) {
    const { stdout } = await execute(gateway, user, `print('x' * ${LARGE_CHARACTERS})`);
    expectEqual(stdout.length, LARGE_CHARACTERS + 1);
  },
  error: (gateway, user) => expectStatus(gateway, user, '1 / 0', 'ERROR'),
  timeout: (gateway, user) =>
    expectStatus(gateway, user, 'while True: pass', 'TIMEOUT', { timeoutMs: SHORT_LIMIT_MS }),
  async 'call sent again'(gateway, user) {
    const options = { idempotencyKey: randomUUID() };
    const first = await execute(gateway, user, '2', options);
    expectEqual((await execute(gateway, user, '2', options)).id, first.id);
  },
  async lists(gateway, user) {
    const query = `query ($user: String!) {
      executions(userUuid: $user, first: 10) { edges { node { status stdout session { id worker { state } } } } } }`;
    expectEqual((await gateway.graphql(query, { user })).errors, undefined);
  },
  async 'live status'(gateway) {
    const client = gateway.socket();
    const query = 'subscription { poolStatus { idleWorkers } }';
    for await (const { errors } of client.iterate({ query })) {
      expectEqual(errors, undefined);
      break;
    }
    await client.dispose();
  },
  async 'server-sent events'({ url, token }) {
    const left = new AbortController();
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        Accept: 'text/event-stream',
        'Content-Type': 'application/json',
        'X-Auth-Token': token,
      },
      body: JSON.stringify({ query: 'subscription { poolStatus { idleWorkers } }' }),
      signal: left.signal,
    });
    const { value } = (await response.body?.getReader().read()) ?? {};
    left.abort();
    if (!value) throw new Error('No event came.');
  },
  async refusals(gateway, user) {
    const refused = await gateway.graphql(
      'mutation ($user: String!) { execute(input: { userUuid: $user, code: "" }) { id } }',
      { user },
    );
    expectEqual(refused.errors?.[0]?.extensions?.code, 'BAD_USER_INPUT');
    expectEqual((await fetch(`${gateway.url}/graphql`, { method: 'POST' })).status, 401);
    const metrics = await fetch(`${gateway.url}/metrics`, {
      headers: { 'X-Auth-Token': gateway.token },
    });
    expectEqual(metrics.status, 200);
    await metrics.text();
  },
  async 'kernel restarted'(gateway, user) {
    await restartKernel(gateway, user);
  },
};

/** The step of a visitor, who comes for one call and goes. */
const VISIT: Step = async (gateway) => {
  const visitor = `visitor-${randomUUID()}`;
  await expectStatus(gateway, visitor, '1', 'OK');
  expectEqual(await release(gateway, visitor), true);
};

async function expectStatus(
  gateway: TestGateway,
  user: string,
  code: string,
  status: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  expectEqual((await execute(gateway, user, code, options)).status, status);
}

function expectEqual(given: unknown, wanted: unknown): void {
  if (given !== wanted) throw new Error(`${JSON.stringify(given)} instead of ${wanted}.`);
}
