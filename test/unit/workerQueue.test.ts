import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { WaitingPlace } from '../../src/domain/poolStatus.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { ConcurrencyError } from '../../src/events/store/eventStore.ts';
import { createWorkerQueue } from '../../src/pool/supply/workerQueue.ts';
import { newId } from '../../src/process/newId.ts';
import { idleWorker } from '../support/states.ts';

const WAIT_MS = 1_000;
/** How long a worker is left for a user of another gateway. */
const FAIR_YIELD_MS = 200;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A queue with a list of idle workers behind it. */
function setUp() {
  const idle: Worker[] = [];
  const seen = { needed: 0, changes: 0, errors: [] as unknown[] };
  const source = {
    failure: null as Error | null,
    isSilent: false,
    elsewhere: [] as WaitingPlace[],
    busy: new Map<string, number>(),
    /** The environments of workers, by the worker's id. All other workers have none. */
    environments: new Map<WorkerId, string>(),
    /** Environments that serve no sessions. */
    gone: [] as (string | null)[],
    idleOf: (name: string | null) =>
      idle.filter(({ id }) => (source.environments.get(id) ?? null) === name),
  };
  const queue = createWorkerQueue({
    candidates: async (wanted) => {
      if (source.failure) throw source.failure;
      if (source.isSilent) return await new Promise(() => undefined);
      const names = [...wanted.keys()].filter((name) => !source.gone.includes(name));
      return new Map(names.map((name) => [name, source.idleOf(name).slice(0, wanted.get(name))]));
    },
    elsewhere: async () => source.elsewhere,
    busy: async () => source.busy,
    weights: new Map(),
    onWaiting: () => {
      seen.needed += 1;
    },
    onChange: () => {
      seen.changes += 1;
    },
    onError: (error) => void seen.errors.push(error),
    exhausted: (waitedMs) => new Error(`exhausted after ${waitedMs}`),
    unanswered: (waitedMs) => new Error(`unanswered after ${waitedMs}`),
  });
  const add = (count = 1, environment: string | null = null): WorkerId[] => {
    const workers = Array.from({ length: count }, () => idleWorker());
    for (const { id } of workers) if (environment) source.environments.set(id, environment);
    idle.push(...workers);
    queue.wake();
    return workers.map(({ id }) => id);
  };
  /** Takes the worker from the list, as the commit that assigns it does. */
  const take = async (worker: Worker): Promise<WorkerId> => {
    const index = idle.indexOf(worker);
    if (index < 0) throw new ConcurrencyError('stream');
    idle.splice(index, 1);
    return worker.id;
  };
  return { queue, idle, seen, source, add, take };
}

/** A user of one tenant. */
const named = (user: string, tenant = 'default', environment: string | null = null) => ({
  tenant,
  user,
  environment,
});
/** A new user. */
const someone = () => named(newId<SessionId>());

/** Runs everything that waits only for promises. */
const settled = () => vi.advanceTimersByTimeAsync(0);

describe('the worker queue', () => {
  it('sends a user who waits twice to the session that the first of these calls opened', async () => {
    const { queue, add, take } = setUp();
    const first = queue.claim(named('ann'), take, WAIT_MS);
    const second = queue.claim(named('ann'), take, WAIT_MS).catch((error: unknown) => error);
    const other = queue.claim(named('bob'), take, WAIT_MS);
    const [worker] = add();
    expect(await first).toBe(worker);
    queue.served('ann');
    expect(await second).toMatchObject({ on: 'open-session' });
    const [next] = add();
    expect(await other).toBe(next);
  });

  it('does not count users as waiting while they are being given a worker', async () => {
    const { queue, add, take } = setUp();
    add();
    let commit = () => {};
    const committed = new Promise<void>((resolve) => {
      commit = resolve;
    });
    const taken = queue.claim(
      someone(),
      async (worker) => {
        await committed;
        return await take(worker);
      },
      WAIT_MS,
    );
    const other = queue.claim(someone(), take, WAIT_MS).catch((error: unknown) => error);
    await settled();
    expect([queue.waiting, queue.unserved.length]).toEqual([2, 1]);
    commit();
    await taken;
    expect([queue.waiting, queue.unserved.length]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(WAIT_MS);
    expect(await other).toBeInstanceOf(Error);
  });

  it('hands out an idle worker at once, even to calls that will not wait', async () => {
    const { queue, add, take } = setUp();
    const [first, second] = add(2);
    expect(await queue.claim(someone(), take, WAIT_MS)).toBe(first);
    const claim = queue.claim(someone(), take, 0);
    await settled();
    expect(await claim).toBe(second);
    expect(queue.waiting).toBe(0);
  });

  it('serves waiting users in the order in which they came', async () => {
    const { queue, add, take } = setUp();
    const served: string[] = [];
    const claims = ['a', 'b', 'c'].map((name) =>
      queue.claim(
        someone(),
        async (worker) => {
          served.push(name);
          return await take(worker);
        },
        WAIT_MS,
      ),
    );
    await settled();
    expect(queue.waiting).toBe(3);
    for (const count of [1, 2, 3]) {
      add();
      await settled();
      expect(queue.waiting).toBe(3 - count);
    }
    await Promise.all(claims);
    expect(served).toEqual(['a', 'b', 'c']);
  });

  it('asks for workers while somebody waits', async () => {
    const { queue, seen, add, take } = setUp();
    const claim = queue.claim(someone(), take, WAIT_MS);
    await settled();
    expect(seen.needed).toBeGreaterThan(0);
    expect(seen.changes).toBe(1);
    add();
    await claim;
    expect(seen.changes).toBe(2);
  });

  it('tries another worker when the first has been taken meanwhile', async () => {
    const { queue, idle, add, take } = setUp();
    add(2);
    const tried: WorkerId[] = [];
    const claim = queue.claim(
      someone(),
      async (worker) => {
        tried.push(worker.id);
        if (tried.length === 1) {
          idle.splice(idle.indexOf(worker), 1);
          throw new ConcurrencyError('stream');
        }
        return await take(worker);
      },
      WAIT_MS,
    );
    expect(await claim).toBe(tried[1]);
    expect(new Set(tried).size).toBe(2);
  });

  it('passes any other failure to its caller, and goes on with the next', async () => {
    const { queue, add, take } = setUp();
    const failing = queue.claim(
      someone(),
      async () => {
        throw new ConcurrencyError('open-session');
      },
      WAIT_MS,
    );
    const failed = expect(failing).rejects.toThrow(ConcurrencyError);
    const next = queue.claim(someone(), take, WAIT_MS);
    const [worker] = add();
    await failed;
    expect(await next).toBe(worker);
  });

  it('offers no worker to two at once', async () => {
    const { queue, add, take } = setUp();
    let offers = 0;
    let most = 0;
    const attempt = async (worker: Worker) => {
      offers += 1;
      most = Math.max(most, offers);
      await settled();
      offers -= 1;
      return await take(worker);
    };
    const claims = [
      queue.claim(someone(), attempt, WAIT_MS),
      queue.claim(someone(), attempt, WAIT_MS),
    ];
    const first = add();
    queue.wake();
    await settled();
    const second = add();
    expect(await Promise.all(claims)).toEqual([...first, ...second]);
    expect(most).toBe(1);
  });

  it('refuses callers whose time is over, and says how long they waited', async () => {
    const { queue, take } = setUp();
    const refused = expect(queue.claim(someone(), take, WAIT_MS)).rejects.toThrow(
      `exhausted after ${WAIT_MS}`,
    );
    await vi.advanceTimersByTimeAsync(WAIT_MS - 1);
    expect(queue.waiting).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await refused;
    expect(queue.waiting).toBe(0);
  });

  it('does not refuse callers who are just being served when their time is over', async () => {
    const { queue, add, take } = setUp();
    add();
    const claim = queue.claim(
      someone(),
      async (worker) => {
        await new Promise((resolve) => setTimeout(resolve, 2 * WAIT_MS));
        return await take(worker);
      },
      WAIT_MS,
    );
    await vi.advanceTimersByTimeAsync(3 * WAIT_MS);
    expect(await claim).toEqual(expect.any(String));
  });

  it('keeps callers waiting when a look for idle workers fails', async () => {
    const { queue, source, seen, add, take } = setUp();
    source.failure = new Error('the database is away');
    const claim = queue.claim(someone(), take, WAIT_MS);
    await settled();
    expect(seen.errors).toEqual([source.failure]);
    expect(queue.waiting).toBe(1);
    source.failure = null;
    const [worker] = add();
    expect(await claim).toBe(worker);
  });

  it.each([
    [
      'fails',
      (source: ReturnType<typeof setUp>['source']) => {
        source.failure = new Error('the database is away');
      },
    ],
    [
      'never ends',
      (source: ReturnType<typeof setUp>['source']) => {
        source.isSilent = true;
      },
    ],
  ])('refuses a caller as unanswered when the last look for idle workers %s', async (_, strike) => {
    const { queue, source, take } = setUp();
    strike(source);
    const refused = expect(queue.claim(someone(), take, WAIT_MS)).rejects.toThrow(
      'unanswered after',
    );
    await vi.advanceTimersByTimeAsync(5 * WAIT_MS);
    await refused;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('the worker queue gives a user one place, however many of their requests wait', async () => {
    const { queue, add, take } = setUp();
    const served: string[] = [];
    const claim = (user: string) =>
      queue.claim(
        named(user),
        async (worker) => {
          const id = await take(worker);
          served.push(user);
          return id;
        },
        WAIT_MS,
      );
    const greedy = ['ann', 'ann', 'ann'].map((user) => claim(user).catch(() => 'told otherwise'));
    const other = claim('bob');
    await settled();
    expect([queue.waiting, queue.unserved.length]).toEqual([4, 2]);
    add(2);
    await other;
    expect(served).toEqual(['ann', 'bob']);
    queue.served('ann');
    expect((await Promise.all(greedy)).slice(1)).toEqual(['told otherwise', 'told otherwise']);
  });

  it('a worker goes to the tenant with fewer sessions, however many users of another came before', async () => {
    const { queue, source, add, take } = setUp();
    source.busy = new Map([
      ['a', 2],
      ['b', 1],
    ]);
    const served: string[] = [];
    const claims = ['a', 'a', 'a', 'b'].map((tenant) =>
      queue.claim(
        named(newId(), tenant),
        async (worker) => {
          served.push(tenant);
          return await take(worker);
        },
        WAIT_MS,
      ),
    );
    await settled();
    add();
    await settled();
    expect(served).toEqual(['b']);
    add(3);
    await Promise.all(claims);
    expect(served).toEqual(['b', 'a', 'a', 'a']);
  });

  it('leaves a worker for a user of another gateway whose turn it is, but not for long', async () => {
    const { queue, source, add, take } = setUp();
    source.elsewhere = [{ ...named('bea', 'b'), since: 0 }];
    source.busy = new Map([['a', 1]]);
    const claim = queue.claim(named('ann', 'a'), take, WAIT_MS);
    const [worker] = add();
    await vi.advanceTimersByTimeAsync(FAIR_YIELD_MS - 1);
    expect(queue.waiting).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await claim).toBe(worker);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes a worker that it left for another user as soon as that user waits no more', async () => {
    const { queue, source, add, take } = setUp();
    source.elsewhere = [{ ...named('bea', 'b'), since: 0 }];
    source.busy = new Map([['a', 1]]);
    const claim = queue.claim(named('ann', 'a'), take, WAIT_MS);
    const [worker] = add();
    await settled();
    source.elsewhere = [];
    queue.wake();
    expect(await claim).toBe(worker);
  });

  it('leaves no worker for others while there are enough for all', async () => {
    const { queue, source, add, take } = setUp();
    source.elsewhere = [{ ...named('bea', 'b'), since: 0 }];
    source.busy = new Map([['a', 1]]);
    const claim = queue.claim(named('ann', 'a'), take, WAIT_MS);
    const [worker] = add(2);
    await settled();
    expect(await claim).toBe(worker);
  });

  it('reports how many calls of each tenant wait, and for which users', async () => {
    const { queue, take } = setUp();
    const claims = [named('ann', 'a'), named('ann', 'a'), named('bea', 'b')].map((who) =>
      queue.claim(who, take, WAIT_MS).catch((error: unknown) => error),
    );
    const { calls, places } = queue.here();
    expect([...calls]).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    expect(places.map(({ tenant, user }) => [tenant, user])).toEqual([
      ['a', 'ann'],
      ['b', 'bea'],
    ]);
    queue.close(new Error('stopping'));
    await Promise.all(claims);
    expect(queue.here()).toEqual({ calls: new Map(), places: [] });
  });

  it('gives nobody a worker of an environment other than the one asked for', async () => {
    const { queue, add, take } = setUp();
    const plain = queue.claim(named('ann'), take, WAIT_MS);
    const science = queue.claim(named('bob', 'default', 'science'), take, WAIT_MS);
    add(1, 'art');
    const [second] = add(1, 'science');
    expect(await science).toBe(second);
    await settled();
    expect(queue.waiting).toBe(1);
    const [third] = add();
    expect(await plain).toBe(third);
    expect(queue.here().places).toEqual([]);
  });

  it('reports which environment each user waits for', async () => {
    const { queue, take } = setUp();
    const call = queue.claim(named('ann', 'a', 'science'), take, WAIT_MS).catch(() => null);
    expect(queue.here().places).toMatchObject([{ user: 'ann', environment: 'science' }]);
    expect(queue.unserved).toMatchObject([{ user: 'ann', environment: 'science' }]);
    queue.close(new Error('stopping'));
    await call;
  });

  it('makes a user ask again if the environment serves no sessions any more', async () => {
    const { queue, source, take } = setUp();
    const call = queue.claim(named('ann', 'a', 'science'), take, WAIT_MS);
    const refused = expect(call).rejects.toMatchObject({ on: 'open-session' });
    await settled();
    source.gone.push('science');
    queue.wake();
    await refused;
    expect(queue.waiting).toBe(0);
  });

  it('keeps a request waiting whose environment was not asked for in a round', async () => {
    const { queue, source, add, take } = setUp();
    const user = newId<SessionId>();
    // A user's second request has no place in the line, and another request joins while idle workers are being read.
    const plain = queue.claim(named(user), take, WAIT_MS);
    const second = queue.claim(named(user, 'default', 'art'), take, WAIT_MS);
    const joined = queue.claim(named(newId(), 'default', 'science'), take, WAIT_MS);
    const ends = Promise.allSettled([plain, second, joined]);
    await settled();
    expect(queue.waiting).toBe(3);
    const [worker] = add();
    await settled();
    expect(queue.waiting).toBe(2);
    source.gone = ['art'];
    queue.wake();
    await vi.advanceTimersByTimeAsync(WAIT_MS);
    expect(await ends).toMatchObject([
      { value: worker },
      { reason: { message: expect.stringContaining('open-session') } },
      { reason: { message: expect.stringMatching(/^exhausted/) } },
    ]);
  });

  it('refuses all waiting callers when it closes', async () => {
    const { queue, take } = setUp();
    const claims = [queue.claim(someone(), take, WAIT_MS), queue.claim(someone(), take, WAIT_MS)];
    const refused = Promise.all(claims.map((claim) => expect(claim).rejects.toThrow('stopping')));
    queue.close(new Error('stopping'));
    await refused;
    expect(queue.waiting).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
