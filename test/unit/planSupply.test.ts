/** Which environments get new workers, and which idle workers make way for them. */

import { describe, expect, it } from 'vitest';
import type { WaitingPlace } from '../../src/domain/poolStatus.ts';
import { planSupply, type Stock, type SupplyState } from '../../src/pool/supply/planSupply.ts';
import { fc } from '../support/seeded.ts';

const ENVIRONMENTS = [null, 'science', 'art'] as const;

const place = (user: string, environment: string | null = null, tenant = 'a'): WaitingPlace => ({
  tenant,
  user,
  environment,
  since: Number(user.replace(/\D/g, '')),
});
const stock = (idle: number, starting = 0, underWay = 0): Stock => ({ idle, starting, underWay });

function stateOf(over: Partial<SupplyState> = {}): SupplyState {
  return {
    own: [],
    elsewhere: [],
    stock: new Map(),
    outdated: 0,
    room: 10,
    minIdle: new Map(),
    failing: new Set(),
    busy: new Map(),
    weights: new Map(),
    ...over,
  };
}
const plan = (over: Partial<SupplyState>) => planSupply(stateOf(over));
const room = (environment: string | null) => ({ environment, evicts: null });

describe('the plan of a supply', () => {
  it('makes a worker of the right environment for each waiting user for whom none is coming', () => {
    const own = [place('u1', 'science'), place('u2'), place('u3', 'science'), place('u4', 'art')];
    const { make } = plan({
      own,
      stock: new Map([
        ['science', stock(0, 1, 1)],
        ['art', stock(1)],
      ]),
    });
    expect(make).toEqual([room(null), room('science')]);
  });

  it('makes only one worker if one user waits here and another at another gateway', () => {
    const [one, other] = [place('u1', 'science'), place('u2', 'science')];
    expect(plan({ own: [one], elsewhere: [other] }).make).toEqual([room('science')]);
    expect(plan({ own: [other], elsewhere: [one] }).make).toEqual([room('science')]);
  });

  it('ends an idle worker of another environment for a user who waits when there is no room', () => {
    const own = [place('u1', 'science')];
    const { make } = plan({ own, room: 0, stock: new Map([[null, stock(2)]]) });
    expect(make).toEqual([{ environment: 'science', evicts: { of: null } }]);
  });

  it('ends outdated workers first, then those of the environment with most idle workers to spare', () => {
    const own = [1, 2, 3, 4, 5].map((n) => place(`u${n}`, 'science'));
    const { make } = plan({
      own: [...own, place('u6')],
      room: 0,
      outdated: 1,
      stock: new Map([
        [null, stock(3)],
        ['art', stock(1)],
      ]),
    });
    // One of the three idle workers of no environment is for u6.
    expect(make.map(({ evicts }) => evicts)).toEqual([
      'outdated',
      { of: null },
      { of: null },
      { of: 'art' },
    ]);
  });

  it('ends nothing for an idle minimum', () => {
    const minIdle = new Map([['science', 2]]);
    expect(plan({ minIdle, room: 0, stock: new Map([[null, stock(5)]]) }).make).toEqual([]);
    expect(plan({ minIdle, room: 1, stock: new Map([[null, stock(5)]]) }).make).toEqual([
      room('science'),
    ]);
  });

  it('ends nothing while enough workers are being made for those who wait', () => {
    const { make } = plan({
      own: [place('u1', 'science')],
      room: 0,
      stock: new Map([
        [null, stock(5)],
        ['science', stock(0, 1, 0)],
      ]),
    });
    expect(make).toEqual([]);
  });

  it('leaves the last room for a user of another gateway whose turn it is, in another environment', () => {
    const own = [place('u2', 'science')];
    const elsewhere = [place('u1', 'art')];
    expect(plan({ own, elsewhere, room: 1 })).toEqual({ make: [], isLeft: true });
    expect(plan({ own: elsewhere, elsewhere: own, room: 1 })).toEqual({
      make: [room('art')],
      isLeft: false,
    });
    expect(plan({ own, elsewhere, room: 2 })).toEqual({ make: [room('science')], isLeft: false });
  });

  it('makes a worker although a user elsewhere is next, if a user here waits for the same environment', () => {
    const { make, isLeft } = plan({ own: [place('u2')], elsewhere: [place('u1')], room: 1 });
    expect({ make, isLeft }).toEqual({ make: [room(null)], isLeft: false });
  });

  it('gives room by the shares of tenants', () => {
    const own = [place('u1', 'art', 'many'), place('u2', 'science', 'few')];
    const { make } = plan({ own, room: 1, busy: new Map([['many', 3]]) });
    expect(make).toEqual([room('science')]);
  });

  it('keeps no room for an environment whose workers cannot be made, and makes none', () => {
    const own = [place('u1', 'art'), place('u2', 'science')];
    const minIdle = new Map([['art', 1]]);
    const { make } = plan({ own, room: 1, minIdle, failing: new Set(['art']) });
    expect(make).toEqual([room('science')]);
  });

  it('serves the users who wait, here and elsewhere, before the idle minimum', () => {
    const minIdle = new Map<string | null, number>([
      [null, 2],
      ['science', 1],
    ]);
    const { make } = plan({ elsewhere: [place('u1', 'art')], minIdle, room: 3 });
    expect(make).toEqual([room(null), room(null)]);
    expect(plan({ own: [place('u1', 'art')], minIdle, room: 2 }).make).toEqual([
      room('art'),
      room(null),
    ]);
  });
});

describe('any plan', () => {
  const environment = fc.constantFrom(...ENVIRONMENTS);
  const places = fc
    .array(fc.record({ tenant: fc.constantFrom('a', 'b'), environment, at: fc.nat(1) }), {
      maxLength: 12,
    })
    .map((all) => all.map((each, index) => ({ ...each, user: `u${index}`, since: index })));
  const stocks = fc.tuple(...ENVIRONMENTS.map(() => fc.tuple(fc.nat(3), fc.nat(2), fc.nat(2)))).map(
    (all) =>
      new Map<string | null, Stock>(
        ENVIRONMENTS.map((name, index) => {
          const [idle, one, other] = all[index] ?? [0, 0, 0];
          return [name, stock(idle, one + other, one)];
        }),
      ),
  );
  const states = fc
    .tuple(places, stocks, fc.nat(4), fc.nat(2))
    .map(([all, known, free, outdated]) =>
      stateOf({
        own: all.filter(({ at }) => at === 0),
        elsewhere: all.filter(({ at }) => at === 1),
        stock: known,
        outdated,
        room: free,
      }),
    );

  it('keeps to the room, and ends no worker that somebody waits for', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { make } = planSupply(state);
        expect(make.filter(({ evicts }) => evicts === null).length).toBeLessThanOrEqual(state.room);
        for (const name of ENVIRONMENTS) {
          const ended = make.filter(
            ({ evicts }) => evicts !== null && evicts !== 'outdated' && evicts.of === name,
          );
          const waiting = [...state.own, ...state.elsewhere].filter(
            (each) => each.environment === name,
          ).length;
          const idle = state.stock.get(name)?.idle ?? 0;
          expect(ended.length).toBeLessThanOrEqual(Math.max(0, idle - waiting));
        }
      }),
    );
  });

  it('makes no more for the waiting users of a gateway than it needs', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { make } = planSupply(state);
        for (const name of ENVIRONMENTS) {
          const made = make.filter((wanted) => wanted.environment === name).length;
          const waiting = state.own.filter((each) => each.environment === name).length;
          const { idle, underWay } = state.stock.get(name) ?? stock(0);
          expect(made).toBeLessThanOrEqual(Math.max(0, waiting - idle - underWay));
        }
      }),
    );
  });

  it('of two gateways that know the same uses all room, if enough users wait', () => {
    fc.assert(
      fc.property(states, (state) => {
        const other = { ...state, own: state.elsewhere, elsewhere: state.own };
        const made = [state, other].flatMap((each) => planSupply(each).make);
        const wanted = ENVIRONMENTS.map((name) => {
          const waiting = [...state.own, ...state.elsewhere].filter(
            (each) => each.environment === name,
          ).length;
          const { idle, starting } = state.stock.get(name) ?? stock(0);
          return Math.max(0, waiting - idle - starting);
        }).reduce((sum, count) => sum + count, 0);
        // Idle or starting workers may be for users of the other gateway. Then the next plan makes the rest.
        const isPlain = [...state.stock.values()].every(
          ({ idle, starting }) => idle + starting === 0,
        );
        if (isPlain) expect(made.length).toBeGreaterThanOrEqual(Math.min(wanted, state.room));
      }),
    );
  });
});
