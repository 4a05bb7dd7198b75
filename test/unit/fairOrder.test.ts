import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WaitingPlace } from '../../src/domain/waitingPlace.ts';
import { dealWorkers } from '../../src/pool/supply/dealWorkers.ts';
import { fairOrder, type Shares } from '../../src/pool/supply/fairOrder.ts';
import { idleWorker } from '../support/states.ts';

const TENANTS = ['a', 'b', 'c', 'd'];
const tenant = fc.constantFrom(...TENANTS);
const numbers = (min: number, max: number) =>
  fc
    .dictionary(tenant, fc.integer({ min, max }))
    .map((given): ReadonlyMap<string, number> => new Map(Object.entries(given)));
const shares: fc.Arbitrary<Shares> = fc.record({ busy: numbers(0, 12), weights: numbers(1, 5) });
/** Few times, so that users of the same time are frequent. */
const waiting: fc.Arbitrary<WaitingPlace[]> = fc
  .array(fc.record({ tenant, since: fc.nat(20) }), { maxLength: 40 })
  .map((places) => places.map((place, index) => ({ ...place, user: `user ${index}` })));

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

  it('is the same at every gateway, however each got to know of the users', () => {
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
  const idle = fc.nat(12).map((count) => Array.from({ length: count }, idleWorker));

  it('go to the same users whichever gateways these wait at', () => {
    fc.assert(
      fc.property(gateways, idle, shares, (views, workers, given) => {
        const dealt = views.map((view) =>
          dealWorkers({ ...view, ...given, idle: workers, isOverdue: () => false }),
        );
        const served = dealt.flatMap(({ given: pairs }) => pairs.map(({ place }) => place.user));
        const all = views.flatMap(({ own }) => own);
        const turns = usersOf([...fairOrder(all, given)]).slice(0, workers.length);
        expect(served.sort()).toEqual(turns.sort());
        for (const [index, { given: pairs, left }] of dealt.entries()) {
          const stillWait = (views[index]?.own.length ?? 0) > pairs.length;
          expect(left).toHaveLength(stillWait ? workers.length - pairs.length : 0);
        }
      }),
    );
  });

  it('that other gateways leave go to own users: none is idle while somebody waits', () => {
    fc.assert(
      fc.property(gateways, idle, shares, (views, workers, given) => {
        for (const view of views) {
          const dealt = dealWorkers({ ...view, ...given, idle: workers, isOverdue: () => true });
          expect(dealt.given).toHaveLength(Math.min(view.own.length, workers.length));
          expect(dealt.left).toEqual([]);
          expect(new Set(dealt.given.map(({ worker }) => worker.id)).size).toBe(dealt.given.length);
        }
      }),
    );
  });

  it('count a user who waits at two gateways once', () => {
    const ann = { tenant: 'a', user: 'ann', since: 1 };
    const bob = { tenant: 'a', user: 'bob', since: 2 };
    const two = [idleWorker(), idleWorker()];
    const dealt = dealWorkers({
      own: [ann, bob],
      elsewhere: [ann],
      idle: two,
      busy: new Map(),
      weights: new Map(),
      isOverdue: () => false,
    });
    expect(dealt.given.map(({ place }) => place.user)).toEqual(['ann', 'bob']);
  });
});
