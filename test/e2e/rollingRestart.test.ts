/** A new gateway comes up, an old one goes, twice, under load: no call fails, and nothing is lost or done twice. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { execute, follow, type Output, submit } from '../../testkit/interpreter.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { createRetryingClient, type RetryingClient } from '../support/retryingClient.ts';

const COUNTING_USERS = 4;
/** Of load between two steps. */
const BETWEEN_MS = 2_000;
const LINES = 250;
const PRINT = `import time\nfor i in range(${LINES}):\n    print('line', i)\n    time.sleep(0.1)`;
const EXECUTE =
  'mutation ($input: ExecuteInput!) { execute(input: $input) { status resultText stateLost } }';
const RELEASE = 'mutation ($input: ReleaseInput!) { release(input: $input) { released } }';
const TIMEOUT_MS = 240_000;

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createInstallation({ MAX_TOTAL_WORKERS: '10' });
});
afterAll(() => installation.destroy());

interface Executed {
  readonly execute: { status: string; resultText: string | null; stateLost: boolean };
}

it(
  'two gateways are replaced under load, and no request fails',
  async () => {
    let old = [await installation.start(), await installation.start()];
    const urls = old.map(({ url }) => url);
    const [first] = old;
    if (!first) throw new Error('There is no gateway.');
    const { id } = await submit(first, 'streaming', PRINT, { timeoutMs: 120_000 });
    const load = startLoad(urls, first.token);
    await delay(BETWEEN_MS);
    for (const leaving of old) {
      const coming = await installation.start();
      urls.push(coming.url);
      expect(await leaving.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      await delay(BETWEEN_MS);
      old = [...old, coming];
    }
    const { clients, counts, newcomers } = await load.stop();

    expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
    expect(clients.reduce((sum, { retries }) => sum + retries, 0)).toBeGreaterThan(0);
    for (const each of counts) {
      expect(each.length).toBeGreaterThan(20);
      expect(each).toEqual(each.map((_, index) => String(index + 1)));
    }
    expect(newcomers).toBeGreaterThan(1);
    const left = old.at(-1) ?? first;
    const outputs: Output[] = await follow(left.socket(), id);
    expect(outputs.map(({ text }) => text ?? '').join('')).toBe(
      Array.from({ length: LINES }, (_, index) => `line ${index}\n`).join(''),
    );
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
    for (let user = 0; user < COUNTING_USERS; user += 1) {
      const { resultText } = await execute(left, `counting-${user}`, 'n');
      expect(resultText).toBe(counts[user]?.at(-1));
    }
  },
  TIMEOUT_MS,
);

/** Some who count, each on a connection of its own, and one who opens sessions and releases them. */
function startLoad(urls: readonly string[], token: string) {
  const stopping = new AbortController();
  const clients: RetryingClient[] = [];
  const client = () => {
    const made = createRetryingClient(urls, token);
    clients.push(made);
    return made;
  };

  async function count(userUuid: string): Promise<(string | null)[]> {
    const { graphql } = client();
    const counted: (string | null)[] = [];
    while (!stopping.signal.aborted) {
      const code = 'n = globals().get("n", 0) + 1\nn';
      const input = { userUuid, code, idempotencyKey: randomUUID() };
      const data = await graphql<Executed>(EXECUTE, { input });
      counted.push(data?.execute.resultText ?? null);
    }
    return counted;
  }

  async function comeAndGo(): Promise<number> {
    const { graphql } = client();
    let round = 0;
    while (!stopping.signal.aborted) {
      const userUuid = `newcomer-${round}`;
      await graphql(EXECUTE, { input: { userUuid, code: '1', idempotencyKey: randomUUID() } });
      await graphql(RELEASE, { input: { userUuid } });
      round += 1;
    }
    return round;
  }

  const users = Array.from({ length: COUNTING_USERS }, (_, index) => `counting-${index}`);
  const working = Promise.all([Promise.all(users.map(count)), comeAndGo()]);
  return {
    stop: async () => {
      stopping.abort();
      const [counts, newcomers] = await working;
      for (const each of clients) each.close();
      return { clients, counts, newcomers };
    },
  };
}
