import { describe, expect, it } from 'vitest';
import type { WaitingPlace } from '../../src/domain/poolStatus.ts';
import type { Worker } from '../../src/domain/worker.ts';
import {
  dealWorkers,
  fairOrder,
  type IdleWorkers,
  type Shares,
} from '../../src/pool/supply/fairOrder.ts';
import { fc } from '../support/seeded.ts';
import { idleWorker } from '../support/states.ts';

const TENANTS = ['a', 'b', 'c', 'd'];
const tenant = fc.constantFrom(...TENANTS);
const numbers = (min: number, max: number) =>
  fc
    .dictionary(tenant, fc.integer({ min, max }))
    .map((given): ReadonlyMap<string, number> => new Map(Object.entries(given)));
const shares: fc.Arbitrary<Shares> = fc.record({ busy: numbers(0, 12), weights: numbers(1, 5) });
const ENVIRONMENTS = [null, 'science', 'art'];
/** There are few different times, so that users often have the same one. */
const waiting: fc.Arbitrary<WaitingPlace[]> = fc
  .array(fc.record({ tenant, since: fc.nat(20), environment: fc.constantFrom(...ENVIRONMENTS) }), {
    maxLength: 40,
  })
  .map((places) => places.map((place, index) => ({ ...place, user: `user ${index}` })));

/** The users who get a worker: in the order of the turns, each user for whose environment a worker is left. */
function firstServed(places: readonly WaitingPlace[], idle: IdleWorkers, given: Shares): string[] {
  const left = new Map([...idle].map(([name, { length }]) => [name, length]));
  const served: string[] = [];
  const order = fairOrder(places, given);
  for (let turn = order.next(); !turn.done; ) {
    const { user, environment } = turn.value;
    const count = left.get(environment) ?? 0;
    left.set(environment, count - 1);
    if (count > 0) served.push(user);
    turn = order.next(count > 0 ? 'served' : 'passed over');
  }
  return served;
}

const usersOf = (places: readonly WaitingPlace[]) => places.map(({ user }) => user);

describe('the fair order', () => {
  it('gives every waiting user one turn, whoever else waits', () => {
    fc.assert(
      fc.property(waiting, shares, (places, given) => {
        const turns = usersOf([...fairOrder(places, given)]);
        expect(turns.sort()).toEqual(usersOf(places).sort());
      }),
    );
  });

  it('never serves a tenant while another that waits has fewer sessions for its weight', () => {
    fc.assert(
      fc.property(waiting, shares, (places, { busy, weights }) => {
        const holds = new Map(TENANTS.map((name) => [name, busy.get(name) ?? 0]));
        const forWeight = (name: string) => (holds.get(name) ?? 0) / (weights.get(name) ?? 1);
        const left = new Set(places);
        for (const turn of fairOrder(places, { busy, weights })) {
          for (const other of left)
            expect(forWeight(turn.tenant)).toBeLessThanOrEqual(forWeight(other.tenant) + 1e-9);
          left.delete(turn);
          holds.set(turn.tenant, (holds.get(turn.tenant) ?? 0) + 1);
        }
      }),
    );
  });

  it('serves the users of a tenant in the order of their arrival', () => {
    fc.assert(
      fc.property(waiting, shares, (places, given) => {
        const turns = [...fairOrder(places, given)];
        for (const name of TENANTS) {
          const times = turns.filter((turn) => turn.tenant === name).map(({ since }) => since);
          expect(times).toEqual([...times].sort((a, b) => a - b));
        }
      }),
    );
  });

  it('is the same at every gateway, in whatever order each has learned of the users', () => {
    const known = waiting.chain((places) =>
      fc.tuple(fc.constant(places), fc.shuffledSubarray(places, { minLength: places.length })),
    );
    fc.assert(
      fc.property(known, shares, ([places, otherwise], given) => {
        expect([...fairOrder(otherwise, given)]).toEqual([...fairOrder(places, given)]);
      }),
    );
  });

  it('divides workers in proportion to the weights, when all tenants want more', () => {
    const places = ['a', 'b', 'c'].flatMap((name) =>
      Array.from({ length: 60 }, (_, index) => ({
        tenant: name,
        user: `${name}${index}`,
        since: index,
        environment: null,
      })),
    );
    const order = fairOrder(places, {
      busy: new Map(),
      weights: new Map([
        ['a', 4],
        ['b', 1],
      ]),
    });
    const turns = Array.from({ length: 60 }, () => order.next().value?.tenant);
    const count = (name: string) => turns.filter((turn) => turn === name).length;
    expect(['a', 'b', 'c'].map(count)).toEqual([40, 10, 10]);
  });
});

describe('idle workers', () => {
  /** The same users as each of three gateways sees them: its own, and those of the two others. */
  const gateways = fc
    .tuple(waiting, fc.array(fc.nat(2), { minLength: 40, maxLength: 40 }))
    .map(([places, at]) =>
      [0, 1, 2].map((gateway) => ({
        own: places.filter((_, index) => at[index] === gateway),
        elsewhere: places.filter((_, index) => at[index] !== gateway),
      })),
    );
  /** Some idle workers of each environment. */
  const idle = fc
    .tuple(fc.nat(6), fc.nat(6), fc.nat(6))
    .map(
      (counts) =>
        new Map(
          ENVIRONMENTS.map((name, index) => [
            name,
            Array.from({ length: counts[index] ?? 0 }, idleWorker),
          ]),
        ),
    );
  const environmentOf = (workers: IdleWorkers, { id }: Worker) =>
    [...workers].find(([, some]) => some.some((worker) => worker.id === id))?.[0];
  const countOf = (places: readonly WaitingPlace[], name: string | null) =>
    places.filter(({ environment }) => environment === name).length;

  it('go to the same users whichever gateways these wait at', () => {
    fc.assert(
      fc.property(gateways, idle, shares, (views, workers, given) => {
        const dealt = views.map((view) =>
          dealWorkers({ ...view, ...given, idle: workers, isOverdue: () => false }),
        );
        const pairs = dealt.flatMap((each) => each.given);
        const served = pairs.map(({ place }) => place.user);
        const all = views.flatMap(({ own }) => own);
        expect(served.sort()).toEqual(firstServed(all, workers, given).sort());
        for (const { place, worker } of pairs)
          expect(environmentOf(workers, worker)).toBe(place.environment);
        for (const [index, { given: mine, left }] of dealt.entries()) {
          const got = mine.map(({ place }) => place);
          for (const [name, some] of workers) {
            const stillWait = countOf(views[index]?.own ?? [], name) > countOf(got, name);
            const leaves = left.filter((worker) => some.includes(worker));
            expect(leaves).toHaveLength(stillWait ? some.length - countOf(got, name) : 0);
          }
        }
      }),
    );
  });

  it("that other gateways leave go to this gateway's users: none stays idle while such a user waits", () => {
    fc.assert(
      fc.property(gateways, idle, shares, (views, workers, given) => {
        for (const view of views) {
          const dealt = dealWorkers({ ...view, ...given, idle: workers, isOverdue: () => true });
          const most = ENVIRONMENTS.map((name) =>
            Math.min(countOf(view.own, name), workers.get(name)?.length ?? 0),
          );
          expect(dealt.given).toHaveLength(most.reduce((sum, count) => sum + count, 0));
          expect(dealt.left).toEqual([]);
          expect(new Set(dealt.given.map(({ worker }) => worker.id)).size).toBe(dealt.given.length);
        }
      }),
    );
  });

  it('count a user who waits at two gateways once', () => {
    const ann = { tenant: 'a', user: 'ann', since: 1, environment: null };
    const bob = { tenant: 'a', user: 'bob', since: 2, environment: null };
    const two = [idleWorker(), idleWorker()];
    const dealt = dealWorkers({
      own: [ann, bob],
      elsewhere: [ann],
      idle: new Map([[null, two]]),
      busy: new Map(),
      weights: new Map(),
      isOverdue: () => false,
    });
    expect(dealt.given.map(({ place }) => place.user)).toEqual(['ann', 'bob']);
  });
});
