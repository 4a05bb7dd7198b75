/** A commit is not sent, or not sent again, once its asker is no longer let in. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/events/database.ts';
import { LOCK_CLASS } from '../../src/events/store/advisoryLocks.ts';
import { type Asker, AskerGoneError } from '../../src/events/store/eventStore.ts';
import { workerRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';

const db = await useDatabase();
let proxy: DatabaseProxy;
let gateway: Database;
beforeEach(async () => {
  proxy = await createDatabaseProxy(db.address);
  gateway = await db.open(undefined, proxy.address);
  // Prepares the statement, so that a commit is one message each way.
  await gateway.store.commit({ streams: [workerRequested()] });
});
afterEach(async () => {
  await gateway.close();
  await proxy.close();
});

/** Is let in until the proxy has dropped a commit or an answer. */
const asker: Asker = {
  get isOver() {
    return proxy.lost > 0;
  },
  fresh: () => null,
};

/** Sends three commits in one group. The second has this asker. */
async function commitThree(of: Asker) {
  const appends = [workerRequested(), workerRequested(), workerRequested()];
  const outcomes = await Promise.allSettled(
    appends.map((append, index) =>
      gateway.store.commit({ streams: [append], ...(index === 1 && { asker: of }) }),
    ),
  );
  const told = outcomes.map((each) => (each.status === 'fulfilled' ? each.value.events : []));
  const recorded = await Promise.all(appends.map(({ id }) => db.readStream('worker', id)));
  // A commit returns its events with the positions that were recorded.
  expect(told).toEqual(recorded);
  return outcomes.map((each) => (each.status === 'rejected' ? each.reason : 'committed'));
}

describe('an asker whose access ends while the database does not answer', () => {
  it('commits nothing if the commit did not reach the database', async () => {
    proxy.loseNextCommit();
    const outcomes = await commitThree(asker);
    expect(outcomes).toEqual(['committed', expect.any(AskerGoneError), 'committed']);
  });

  it('learns that the commit succeeded if only its answer was lost', async () => {
    proxy.loseNextAnswer();
    expect(await commitThree(asker)).toEqual(['committed', 'committed', 'committed']);
  });

  it('is checked again after the wait for the database', async () => {
    await proxy.refuse();
    let isOver = false;
    const commits = commitThree({
      get isOver() {
        return isOver;
      },
      fresh: () => null,
    });
    await expect(gateway.ping()).rejects.toThrow();
    isOver = true;
    await proxy.open();
    expect(await commits).toEqual(['committed', expect.any(AskerGoneError), 'committed']);
  });
});

describe('while it is unknown whether the asker is let in', () => {
  it('its commit waits until that is known', async () => {
    let isOver = false;
    let known = false;
    const commits = commitThree({
      get isOver() {
        return isOver;
      },
      fresh: () => {
        if (known) return null;
        return new Promise((resolve) => {
          setTimeout(() => {
            [known, isOver] = [true, true];
            resolve();
          }, 50);
        });
      },
    });
    expect(await commits).toEqual(['committed', expect.any(AskerGoneError), 'committed']);
  });

  it('other commits wait for a second at most', async () => {
    const startedAt = performance.now();
    const unknown: Asker = { isOver: false, fresh: () => new Promise(() => {}) };
    const away = expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' });
    expect(await commitThree(unknown)).toEqual(['committed', away, 'committed']);
    const waitedMs = performance.now() - startedAt;
    expect(waitedMs).toBeGreaterThan(990);
    expect(waitedMs).toBeLessThan(3_000);
  });
});

it('two commits of a group that were stored by different attempts are not taken for one transaction', async () => {
  const one = workerRequested();
  const other = workerRequested();
  // The first attempt sends only `one`, and each later attempt only `other`.
  const unknown: Asker = {
    isOver: false,
    fresh: () => (proxy.lost === 0 ? new Promise(() => {}) : null),
  };
  const waiting = (name: string) =>
    until(`${name} to wait`, async () => {
      const found = await db.sql`
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'
          AND application_name LIKE ${`cellhouse ${name}%`}`;
      return found.length === 1;
    });
  const holding = (release: Promise<void>) =>
    db.sql.begin(async (transaction) => {
      await transaction`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, 2)`;
      await release;
    });
  const first = later();
  const second = later();
  const holders = [holding(first.promise)];
  const commits = Promise.allSettled([
    gateway.store.commit({ streams: [one], asker }),
    gateway.store.commit({ streams: [other], asker: unknown }),
  ]);
  await waiting('commits');
  holders.push(holding(second.promise));
  await waiting('test');
  proxy.loseNextAnswer();
  first.resolve();
  await until('the first answer to be lost', async () => proxy.lost === 1);
  await waiting('commits');
  proxy.loseNextAnswer();
  second.resolve();
  const [ofOne, ofOther] = await commits;
  await Promise.all(holders);
  expect(proxy.lost).toBe(2);
  expect(ofOne).toMatchObject({ status: 'rejected', reason: expect.any(AskerGoneError) });
  const recorded = await db.readStream('worker', other.id);
  expect(ofOther).toMatchObject({ status: 'fulfilled', value: { events: recorded } });
  expect(await db.readStream('worker', one.id)).toHaveLength(1);
});

/** `Promise.withResolvers`, which Node 20 lacks. */
function later() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
