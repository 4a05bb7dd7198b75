import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LANE, type LaneKey } from '../../src/worker/lanes/laneKey.ts';
import { COMMAND, PLACES, type Report, type Step } from '../support/lanesAgent.ts';
import { createLanesWorld, idAfter, type LanesWorld } from '../support/lanesWorld.ts';

const LANES: readonly LaneKey[] = [DEFAULT_LANE, 'a', 'b'];

const lane = fc.constantFrom(...LANES);
const what = fc.constantFrom<Report>('busy', 'output', 'output', 'idle', 'reply');
const asked = fc.oneof(
  { weight: 3, arbitrary: lane },
  { weight: 2, arbitrary: fc.constant(COMMAND) },
);
const reported = fc.constantFrom(...LANES, ...PLACES);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('request'), lane: asked }) },
  { weight: 14, arbitrary: fc.record({ type: fc.constant('report'), lane: reported, what }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('replace'), lane }) },
);
const steps = fc.array(step, { maxLength: 60, size: 'max' });

/** Takes the steps. `after` comes after each; a replacement of the kernel is always stored, as a gateway does at once. */
function run(taken: readonly Step[], after: (world: LanesWorld, index: number) => void) {
  const world = createLanesWorld(LANES.slice(1));
  taken.forEach((each, index) => {
    world.take(each);
    if (each.type === 'replace') world.store();
    after(world, index);
  });
  // Everything that was accepted runs to its end.
  for (let round = 0; world.hasUnfinished && round < taken.length; round += 1) {
    for (const each of [...LANES, ...PLACES]) {
      for (const report of ['idle', 'reply'] as const)
        world.take({ type: 'report', lane: each, what: report });
    }
    world.store();
  }
  expect(world.hasUnfinished).toBe(false);
  return world.result;
}

/** What users see of the lane's executions, apart from ids and times. */
function told({ executions }: Pick<LanesWorld['result'], 'executions'>, of: LaneKey) {
  return executions
    .filter(({ lane }) => lane === of)
    .map(({ text, events }) => {
      const end = events.at(-1);
      const { status, stateLost } = end?.type === 'ExecutionFinished' ? end.data : {};
      return { text, status, stateLost, events: events.map(({ type }) => type) };
    });
}

describe('for any messages of three lanes and of commands', () => {
  it('a take-over after every message, with or without what was last received, changes nothing', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.boolean()), (taken, isStored) => {
        const undisturbed = run(taken, (world) => world.store());
        const disturbed = run(taken, (world) => {
          if (isStored.next().value) world.store();
          world.takeOver();
        });
        expect(disturbed).toEqual(undisturbed);
      }),
      { numRuns: 150 },
    );
  });

  it('each lane runs its executions once and in order, whatever the other lanes do', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const { executions, ran } = run(taken, (world, index) => index % 3 === 0 && world.store());
        const all = executions.map(({ lane }, index) => [lane, idAfter(index)] as const);
        for (const each of LANES) {
          const own = all.flatMap(([lane, id]) => (lane === each ? id : []));
          expect(ran.get(each) ?? []).toEqual(own);
        }
      }),
    );
  });

  it('commands run once, in the order of acceptance, and report no loss', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const { executions, ran } = run(taken, (world, index) => index % 3 === 0 && world.store());
        const asked = executions.flatMap(({ lane }, index) =>
          lane === idAfter(index) ? lane : [],
        );
        const begun = [...ran].flatMap(([lane, ids]) => (asked.includes(lane) ? ids : []));
        expect(begun).toEqual(asked);
        for (const lane of asked)
          expect(told({ executions }, lane)).toMatchObject([{ stateLost: false }]);
      }),
    );
  });

  it('a lane has the same outputs and ends as it has alone', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const together = run(taken, (world) => world.store());
        for (const each of LANES) {
          const own = taken.filter((one) => one.lane === each);
          const alone = run(own, (world) => world.store());
          expect(told(together, each)).toEqual(told(alone, each));
        }
      }),
    );
  });
});
