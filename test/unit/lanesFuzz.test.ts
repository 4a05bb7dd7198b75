import { describe, expect, it } from 'vitest';
import { queueOf } from '../../src/domain/execution.ts';
import { isCommand } from '../../src/domain/executionOptions.ts';
import { DEFAULT_LANE, type LaneKey } from '../../src/worker/lanes.ts';
import { EXTENT } from '../extent.ts';
import { COMMAND, MAX_COMMANDS, PLACES, type Report, type Step } from '../support/lanesAgent.ts';
import { createLanesWorld, idAfter, type LanesWorld } from '../support/lanesWorld.ts';
import { fc } from '../support/seeded.ts';

const { laneRuns: numRuns } = EXTENT;
const LANES: readonly LaneKey[] = [DEFAULT_LANE, 'a', 'b'];

const lane = fc.constantFrom(...LANES);
const what = fc.constantFrom<Report>('busy', 'output', 'output', 'idle', 'reply');
const asked = fc.oneof(
  { weight: 3, arbitrary: lane },
  { weight: 2, arbitrary: fc.constant(COMMAND) },
);
const reported = fc.constantFrom(...LANES, ...PLACES);
const request: fc.Arbitrary<Step> = fc.record({ type: fc.constant('request'), lane: asked });
const report: fc.Arbitrary<Step> = fc.record({
  type: fc.constant('report'),
  lane: reported,
  what,
});
const replace: fc.Arbitrary<Step> = fc.record({ type: fc.constant('replace'), lane });
const step = fc.oneof(
  { weight: 3, arbitrary: request },
  { weight: 14, arbitrary: report },
  { weight: 1, arbitrary: replace },
);
const steps = fc.array(step, { maxLength: 60, size: 'max' });

/** A request for an execution that may stop others, and whose event may reach the gateway late. */
const stoppingRequest: fc.Arbitrary<Step> = fc.record({
  type: fc.constant('request'),
  lane: fc.constantFrom(DEFAULT_LANE, 'a', COMMAND, COMMAND),
  stopOnError: fc.boolean(),
  isLate: fc.boolean(),
});
const end: fc.Arbitrary<Step> = fc.record({
  type: fc.constant('report'),
  lane: reported,
  what: fc.constantFrom<Report>('busy', 'idle', 'failure', 'reply'),
});
const stoppingStep = fc.oneof(
  { weight: 8, arbitrary: stoppingRequest },
  { weight: 8, arbitrary: end },
  { weight: 1, arbitrary: replace },
);
/** What the gateway does after a step. */
const fate = fc.record({
  isStored: fc.boolean(),
  /** How many commands the gateway that takes over runs at the same time. Null: no gateway takes over. */
  successor: fc.constantFrom(null, null, 1, MAX_COMMANDS),
});
const fatefulSteps = fc.array(fc.tuple(stoppingStep, fate), { maxLength: 60, size: 'max' });

/** Takes the steps, and calls `after` after each. Stores each replacement of a kernel at once, as a gateway does. */
async function run(
  taken: readonly Step[],
  after: (world: LanesWorld, index: number) => Promise<void>,
) {
  const world = createLanesWorld(LANES.slice(1));
  for (const [index, each] of taken.entries()) {
    world.take(each);
    if (each.type === 'replace') await world.store();
    await after(world, index);
  }
  world.hear();
  // Everything that was accepted runs to its end.
  for (let round = 0; world.hasUnfinished && round < taken.length; round += 1) {
    for (const each of [...LANES, ...PLACES]) {
      for (const report of ['idle', 'reply'] as const)
        world.take({ type: 'report', lane: each, what: report });
    }
    await world.store();
  }
  expect(world.hasUnfinished).toBe(false);
  expect(world.awaitingInput).toEqual([]);
  return world;
}

/** Stores the received messages after every third step, beginning with the first. */
const sometimesStored = async (world: LanesWorld, index: number) => {
  if (index % 3 === 0) await world.store();
};

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
  it('a take-over after every message, with or without what was last received, changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.infiniteStream(fc.boolean()), async (taken, isStored) => {
        const undisturbed = await run(taken, (world) => world.store());
        const disturbed = await run(taken, async (world) => {
          if (isStored.next().value) await world.store();
          world.takeOver();
        });
        expect(disturbed.result).toEqual(undisturbed.result);
      }),
      { numRuns },
    );
  });

  it('each lane runs its executions once and in order, whatever the other lanes do', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const { executions, ran } = (await run(taken, sometimesStored)).result;
        const all = executions.map(({ lane }, index) => [lane, idAfter(index)] as const);
        for (const each of LANES) {
          const own = all.flatMap(([lane, id]) => (lane === each ? id : []));
          expect(ran.get(each) ?? []).toEqual(own);
        }
      }),
      { numRuns },
    );
  });

  it('commands run once, in the order of acceptance, and report no loss', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const { executions, ran } = (await run(taken, sometimesStored)).result;
        const asked = executions.flatMap(({ lane }, index) =>
          lane === idAfter(index) ? lane : [],
        );
        const begun = [...ran].flatMap(([lane, ids]) => (asked.includes(lane) ? ids : []));
        expect(begun).toEqual(asked);
        for (const lane of asked)
          expect(told({ executions }, lane)).toMatchObject([{ stateLost: false }]);
      }),
      { numRuns },
    );
  });

  it('a lane has the same outputs and ends as it has alone', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (taken) => {
        const together = (await run(taken, (world) => world.store())).result;
        for (const each of LANES) {
          const own = taken.filter((one) => one.lane === each);
          const alone = (await run(own, (world) => world.store())).result;
          expect(told(together, each)).toEqual(told(alone, each));
        }
      }),
      { numRuns },
    );
  });

  it('a failed execution stops those that were accepted before its end and have not begun, and no others', async () => {
    await fc.assert(
      fc.asyncProperty(fatefulSteps, async (taken) => {
        const steps = taken.map(([each]) => each);
        const { rows, result } = await run(steps, async (world, index) => {
          const { isStored, successor = null } = taken[index]?.[1] ?? {};
          if (isStored) await world.store();
          if (successor !== null) world.takeOver(successor);
        });
        const ran = new Set([...result.ran.values()].flat());
        for (const row of rows) expectStopped(rows, row, ran);
      }),
      // Only few sequences stop a command that the former holder may have sent, hence the high number of runs.
      { numRuns: 300 },
    );
  }, 120_000);
});

type Row = LanesWorld['rows'][number];

/** Expects that a row that others stop says so and never ran, and that every other row ran. */
function expectStopped(rows: readonly Row[], row: Row, ran: ReadonlySet<string>): void {
  const { execution, events, ended } = row;
  const failed = rows.filter((other, index) => index < rows.indexOf(row) && mayStop(other, row));
  const stoppedBy = failed.filter((other) => !hasBegunBefore(row, other));
  const last = events.at(-1);
  const by = last?.type === 'ExecutionFinished' ? last.data.stoppedBy : undefined;
  const hasRun = ran.has(execution.id);
  if (events.some(({ type }) => type === 'InterruptRequested')) {
    // A former gateway may have sent this command. It is cancelled once the agent has said that it does not have it.
    expect(failed).not.toEqual([]);
    expect([execution.language, execution.status === 'CANCELLED']).toEqual(['BASH', !hasRun]);
    if (stoppedBy.length > 0) expect(hasRun).toBe(false);
  } else if (stoppedBy.length === 0) {
    expect([by, hasRun]).toEqual([undefined, true]);
  } else {
    expect([execution.status, hasRun]).toEqual(['CANCELLED', false]);
    expect(stoppedBy.map((other) => [other.execution.id, other.ended])).toContainEqual([by, ended]);
  }
}

/** Whether the first execution stops its queue if it fails, has failed, and ended after the other was accepted. */
function mayStop({ execution, ended }: Row, other: Row): boolean {
  if (!execution.options?.stopOnError || execution.status === 'OK' || ended === null) return false;
  return queueOf(execution) === queueOf(other.execution) && other.requested < ended;
}

/**
 * Whether the first execution was sent before the failure of the other took effect. Commands may begin until the
 * failure is stored, because before that, a gateway that takes over does not know of the failure.
 */
function hasBegunBefore({ execution, sent }: Row, { over, ended }: Row): boolean {
  const known = isCommand(execution) ? ended : (over ?? ended);
  return sent !== null && sent < (known ?? 0);
}
