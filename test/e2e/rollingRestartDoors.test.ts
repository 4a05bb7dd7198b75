/**
 * A host of MCP and a notebook work on while the gateways are replaced one by one. Both clients are users of the chaos
 * program, whose checker judges the answers. The checker gets no faults in its history, so it excuses no failure.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkDoors } from '../../chaos/check/checkAccess.ts';
import {
  checkContexts,
  checkCounters,
  checkExecutions,
} from '../../chaos/check/checkExecutions.ts';
import { checkStreams } from '../../chaos/check/checkOutput.ts';
import { factsOf } from '../../chaos/check/facts.ts';
import { createJupyterUser } from '../../chaos/clients/jupyter.ts';
import { createMcpUser } from '../../chaos/clients/mcp.ts';
import { createDoorAccess, createOperator } from '../../chaos/clients/operator.ts';
import type { CallRecord, History, Wire } from '../../chaos/history.ts';
import { createRandom } from '../../chaos/random.ts';
import { readEvents, readOutputs } from '../../chaos/world/readState.ts';
import { createClient } from '../../src/events/connection/client.ts';
import { poolStatus } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';
import { SEED } from '../support/seeded.ts';

const DOORS = ['mcp', 'jupyter'] as const;
/** How many answers each user gets between two steps. */
const BETWEEN_ANSWERS = 4;
const BETWEEN_TIMEOUT_MS = 120_000;
const TIMEOUT_MS = 480_000;

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createInstallation({ MAX_TOTAL_WORKERS: '8' });
});
afterAll(() => installation.destroy());

it(
  'two gateways are replaced under a host of MCP and a notebook, which get every answer, and nothing is lost or runs twice',
  async () => {
    const gateways = [await installation.start(), await installation.start()];
    const [first] = gateways;
    if (!first) throw new Error('There is no gateway.');
    // Users may give up before a worker has started on a busy machine, and here no fault would excuse
    // that.
    const areReady = async () => (await poolStatus(first)).idleWorkers >= DOORS.length;
    await until('a worker for each user', areReady, BETWEEN_TIMEOUT_MS);
    const urls = gateways.map(({ url }) => url);
    const { calls, users, stopping } = await startUsers(urls, first.token);
    const goOn = async () => {
      const isAnswered =
        (door: Wire) =>
        ({ wire, cell, answer }: CallRecord) =>
          wire === door && cell !== null && answer !== null;
      const count = (door: Wire) => calls.filter(isAnswered(door)).length;
      const goals = DOORS.map((door) => count(door) + BETWEEN_ANSWERS);
      const areThere = () => DOORS.every((door, index) => count(door) >= (goals[index] ?? 0));
      await until('both users to go on', async () => areThere(), BETWEEN_TIMEOUT_MS);
    };
    try {
      await goOn();
      for (const leaving of gateways) {
        const coming = await installation.start();
        urls.push(coming.url);
        expect(await leaving.kill('SIGTERM')).toEqual({ code: 0, signal: null });
        const before = calls.length;
        await goOn();
        const isRepeated = ({ failures }: CallRecord) => Object.keys(failures).length > 0;
        const hasMet = async () => calls.slice(before).some(isRepeated);
        // Users choose a gateway at random: it may take more calls until one chooses the stopped gateway.
        await until('a call to be repeated at another gateway', hasMet, BETWEEN_TIMEOUT_MS);
        // From now on, users do not know the stopped gateway any more.
        urls.splice(urls.indexOf(leaving.url), 1);
      }
      await Promise.all(users.map((user) => user.stop()));
      const audits = await Promise.all(users.map((user) => user.audit()));
      expect(audits.map(({ answer }) => answer?.status)).toEqual(['OK', 'OK']);
    } finally {
      stopping.abort();
    }
    const facts = factsOf(await historyOf(calls));
    const recorded = new Set(facts.executions.map(({ key }) => key));
    const untold = calls.filter(({ answer, key }) => answer === null && recorded.has(key));
    expect(untold).toEqual([]);
    const checks = [checkDoors, checkExecutions, checkCounters, checkContexts, checkStreams];
    expect(checks.flatMap((check) => check(facts))).toEqual([]);
  },
  TIMEOUT_MS,
);

async function startUsers(urls: readonly string[], token: string) {
  const calls: CallRecord[] = [];
  const stopping = new AbortController();
  const random = createRandom(SEED);
  const shared = { urls, signal: stopping.signal };
  const deps = { ...shared, credentials: { token }, random: random.fork() };
  const operator = createOperator(deps);
  const [mcp, jupyter] = await Promise.all(
    DOORS.map(async (name) => {
      const credentials = await createDoorAccess(operator, name);
      const record = (call: CallRecord) => calls.push(call);
      return { ...shared, name, credentials, random: random.fork(), record };
    }),
  );
  if (!mcp || !jupyter) throw new Error('There is no access.');
  return { calls, stopping, users: [createMcpUser(mcp), createJupyterUser(jupyter)] };
}

/** The history that the checks need. It has no faults and no other clients. */
async function historyOf(calls: readonly CallRecord[]): Promise<History> {
  const client = createClient(installation.address, { name: 'test', maxConnections: 1 });
  try {
    const events = await readEvents(client);
    const ids = events.flatMap(({ streamKind, streamId, version }) =>
      streamKind === 'execution' && version === 1 ? [streamId] : [],
    );
    const outputs = await readOutputs(client, ids);
    const none = { faults: [], streams: [], watches: [] };
    return { calls, events, outputs, ...none } as Partial<History> as History;
  } finally {
    await client.close(1_000);
  }
}
