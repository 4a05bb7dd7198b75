/**
 * Streams are cut at random points, by clients that leave and by kill -9 of the gateway, and are resumed after the last
 * event. Each client must end with exactly the printed output. `SEED=7` makes other random choices.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom, type Random } from '../../chaos/random.ts';
import { type GraphqlAnswer, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { EXTENT } from '../extent.ts';
import {
  type CutPoint,
  EVENT_FIELDS,
  followOnce,
  type StreamEnd,
  type StreamedEvent,
  type Subscription,
} from '../support/cutStream.ts';
import { SEED } from '../support/seeded.ts';

const CUTS = EXTENT.resumeCuts;
const KILLS = 5;
const USERS = 4;
/** Streams of each execution. Each user has one more stream over all executions. */
const FOLLOWERS = 2;
const MAX_PIECES = 60;
const MAX_PAUSE_MS = 40;
/** The output of a user's last execution. */
const FAREWELL = 'that was all';

const OUTPUT = `subscription ($id: ID!, $after: Int!) { output(executionId: $id, after: $after) ${EVENT_FIELDS} }`;
const SESSION = `subscription ($user: String!, $after: String!) { sessionOutput(userUuid: $user, after: $after) ${EVENT_FIELDS} }`;
const SUBMIT = 'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }';

interface Piece {
  readonly name: 'stdout' | 'stderr';
  readonly text: string;
}

let gateway: TestGateway;
/** Resolves when the gateway runs (again). */
let up: Promise<void> = Promise.resolve();
let cuts = 0;
let kills = 0;
beforeAll(async () => {
  gateway = await startTestGateway({ MAX_TOTAL_WORKERS: String(USERS + 2) });
});
afterAll(async () => {
  // After a failure this ends all streams that are still running.
  up = Promise.reject(new Error('The test is over.'));
  up.catch(() => undefined);
  await gateway.destroy();
});

/** Counts a cut. The gateway is killed KILLS times, spread evenly over all cuts. */
function cutOff(): void {
  cuts += 1;
  if (cuts < ((kills + 1) * CUTS) / (KILLS + 1) || kills === KILLS) return;
  kills += 1;
  up = up.then(async () => {
    await gateway.kill('SIGKILL');
    await gateway.restart();
  });
}

/** How many subscriptions the gateway serves. */
async function followers(): Promise<number> {
  const headers = { 'X-Auth-Token': gateway.token };
  const response = await fetch(`${gateway.url}/metrics`, { headers });
  return Number(/^cellhouse_output_followers (\d+)$/m.exec(await response.text())?.[1]);
}

describe('a stream that is resumed at its end, or beyond it', () => {
  it.each([0, 1, 1_000_000])('is completed at once (%i after the end)', async (beyond) => {
    const { id, outputs } = await execute(gateway, 'ended', "print('over')\n1");
    const seen: number[] = [];
    const take = ({ seq }: StreamedEvent): 'more' => {
      seen.push(seq);
      return 'more';
    };
    // The list of outputs does not contain the finish.
    const end = outputs.length + 1;
    const from = (after: number) => ({ query: OUTPUT, variables: { id, after } });
    expect(await followOnce(gateway, from(end + beyond), null, take)).toBe('completed');
    expect(seen).toEqual([]);
    expect(await followOnce(gateway, from(end - 1), null, take)).toBe('completed');
    expect(seen).toEqual([end]);
  });
});

describe(`${CUTS} cuts of random streams (seed ${SEED})`, () => {
  it('leave each client with exactly the output', async () => {
    const random = createRandom(SEED);
    const users = Array.from({ length: USERS }, (_, n) => `user ${n}`);
    // Each user's stream begins after this execution. The gateway is killed only after all of them.
    const first = await Promise.all(users.map((user) => execute(gateway, user, '1')));
    const lives = users.map((user, n) => live(user, first[n]?.id ?? '', random.fork()));
    const executions = (await Promise.all(lives)).flat();
    expect({ kills, isCutEnough: cuts >= CUTS }).toEqual({ kills: KILLS, isCutEnough: true });
    expect(executions.length).toBeGreaterThan(2 * USERS);
    await until('every subscription to be over', async () => (await followers()) === 0);
  });
});

/** Runs random programs one after the other until there are enough cuts. Resolves with the executions' ids. */
async function live(user: string, firstId: string, random: Random): Promise<string[]> {
  const printed = new Map<string, readonly Piece[]>();
  const session = followSession(user, firstId, random.fork());
  while (cuts < CUTS) {
    const pieces = randomPieces(random);
    const id = await submit(user, programOf(pieces, random), `${user} ${printed.size}`);
    printed.set(id, pieces);
    const followers = Array.from({ length: FOLLOWERS }, () => followExecution(id, random.fork()));
    for (const events of await Promise.all(followers)) expectExactly(events, pieces);
  }
  // One more execution marks the end of the user's stream, which never ends by itself.
  const last = await submit(user, `print('${FAREWELL}', end='')`, `${user} last`);
  printed.set(last, [{ name: 'stdout', text: FAREWELL }]);
  const all = await session;
  for (const [id, pieces] of printed)
    expectExactly(
      all.filter(({ executionId }) => executionId === id),
      pieces,
    );
  expect([...new Set(all.map(({ executionId }) => executionId))]).toEqual([...printed.keys()]);
  return [...printed.keys()];
}

async function followExecution(id: string, random: Random): Promise<StreamedEvent[]> {
  const events: StreamedEvent[] = [];
  const subscription = () => {
    return { query: OUTPUT, variables: { id, after: events.at(-1)?.seq ?? 0 } };
  };
  const end = await untilOver(random, subscription, (event) => {
    events.push(event);
    return 'more';
  });
  expect(end).toBe('completed');
  return events;
}

/** Follows all executions of a user after the first, up to the finish of the farewell. */
async function followSession(
  user: string,
  firstId: string,
  random: Random,
): Promise<StreamedEvent[]> {
  const events: StreamedEvent[] = [];
  const subscription = () => {
    const last = events.at(-1);
    const after = last ? `${last.executionId}:${last.seq}` : `${firstId}:1000`;
    return { query: SESSION, variables: { user, after } };
  };
  const end = await untilOver(random, subscription, (event) => {
    events.push(event);
    return event.execution && events.at(-2)?.text === FAREWELL ? 'enough' : 'more';
  });
  expect(end).toBe('enough');
  return events;
}

/**
 * Connects, is cut at random, and resumes after its last event, until the stream is over. Resolves with the outcome.
 */
async function untilOver(
  random: Random,
  subscription: () => Subscription,
  take: (event: StreamedEvent) => 'more' | 'enough',
): Promise<StreamEnd> {
  for (;;) {
    await up;
    const cut = cuts < CUTS ? randomCut(random) : null;
    const end = await followOnce(gateway, subscription(), cut, take);
    if (end === 'completed' || end === 'enough') return end;
    cutOff();
  }
}

function randomCut(random: Random): CutPoint {
  const kind = random.pick(['close', 'complete', 'terminate'] as const) ?? 'terminate';
  return random.next() < 0.5
    ? { afterEvents: random.between(1, 8), kind }
    : { afterMs: random.between(0, 300), kind };
}

function randomPieces(random: Random): Piece[] {
  const texts = [
    '.',
    '\r50%',
    'line\n',
    '正弦波\n',
    '😀'.repeat(40),
    '\u0000\n',
    'x'.repeat(5_000),
  ];
  return Array.from({ length: random.between(1, MAX_PIECES) }, (_, n) => ({
    name: random.next() < 0.8 ? 'stdout' : 'stderr',
    text: `${n}${random.pick(texts)}`,
  }));
}

/** Python that writes the pieces in order, some at once and some after a pause. */
function programOf(pieces: readonly Piece[], random: Random): string {
  const steps = pieces.map(({ name, text }) => {
    const pauseMs = random.next() < 0.4 ? 0 : random.between(0, MAX_PAUSE_MS);
    return [name, text, pauseMs / 1_000];
  });
  return `import json, sys, time
for name, text, pause in json.loads(${JSON.stringify(JSON.stringify(steps))}):
    getattr(sys, name).write(text)
    time.sleep(pause)`;
}

/** Sends the same call with its key again until it is answered, even if the gateway is killed meanwhile. */
async function submit(user: string, code: string, idempotencyKey: string): Promise<string> {
  const input = { userUuid: user, code, idempotencyKey, timeoutMs: 60_000 };
  for (;;) {
    await up;
    let answer: GraphqlAnswer<{ submit: { id: string } }>;
    try {
      answer = await gateway.graphql(SUBMIT, { input });
    } catch (error: unknown) {
      // fetch's error for a lost or refused connection.
      if (!(error instanceof TypeError)) throw error;
      continue;
    }
    if (!answer.data) throw new Error(JSON.stringify(answer.errors));
    return answer.data.submit.id;
  }
}

function expectExactly(events: readonly StreamedEvent[], pieces: readonly Piece[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
  const said = events.slice(0, -1).map(({ name, text }) => ({
    name: name === 'STDOUT' ? 'stdout' : 'stderr',
    text: text ?? '',
  }));
  expect(joined(said)).toEqual(joined(pieces));
}

/** Joins adjacent pieces of one stream, since text may be cut anywhere. */
function joined(pieces: readonly { name: string; text: string }[]): string[] {
  const runs: { name: string; text: string }[] = [];
  for (const { name, text } of pieces) {
    const last = runs.at(-1);
    if (last?.name === name) last.text += text;
    else runs.push({ name, text });
  }
  return runs.map(({ name, text }) => `${name}: ${text}`);
}
