/** Faults in a gateway's surroundings: the engine, PostgreSQL, the connection to PostgreSQL, and the workers' disks. */

import type { Wire } from '../world/createWire.ts';
import {
  type Candidate,
  type FaultKind,
  NOTHING_TO_HEAL,
  type Scene,
  type Strike,
} from './fault.ts';

const AWAY_MS = [200, 5_000] as const;
/** Twice as long as a gateway waits for its database before it answers with an error. Only for long runs. */
const LONG_AWAY_MS = 60_000;

export const serviceFaults: readonly FaultKind[] = [
  {
    name: 'engine: kill -9',
    weight: 4,
    candidates: engine(async ({ world: { engine }, random }) => {
      await engine.kill('SIGKILL');
      return { holdMs: random.between(...AWAY_MS), heal: () => engine.start() };
    }),
  },
  {
    name: 'engine: restarted',
    weight: 3,
    candidates: engine(async ({ world: { engine }, random }) => {
      await engine.kill('SIGTERM');
      return { holdMs: random.between(...AWAY_MS), heal: () => engine.start() };
    }),
  },
  {
    name: 'PostgreSQL: kill -9',
    weight: 4,
    candidates: postgres(async ({ world, random }) => {
      world.postgres.kill();
      return { holdMs: random.between(...AWAY_MS), heal: () => world.postgres.start() };
    }),
  },
  {
    name: 'engine: away for a minute',
    weight: 0.2,
    candidates: inLongRuns(
      engine(async ({ world: { engine } }) => {
        await engine.kill('SIGKILL');
        return { holdMs: LONG_AWAY_MS, heal: () => engine.start() };
      }),
    ),
  },
  {
    name: 'PostgreSQL: away for a minute',
    weight: 0.2,
    candidates: inLongRuns(
      postgres(async ({ world }) => {
        world.postgres.kill();
        return { holdMs: LONG_AWAY_MS, heal: () => world.postgres.start() };
      }),
    ),
  },
  {
    name: 'PostgreSQL: restarted',
    weight: 3,
    candidates: postgres(async ({ world, random }) => {
      await world.postgres.stop();
      return { holdMs: random.between(...AWAY_MS), heal: () => world.postgres.start() };
    }),
  },
];

function inLongRuns(candidates: FaultKind['candidates']): FaultKind['candidates'] {
  return (scene) => (scene.isLong ? candidates(scene) : []);
}

function engine(strike: (scene: Scene) => Promise<Strike>) {
  return (scene: Scene) => [{ resource: 'engine', on: {}, strike: () => strike(scene) }];
}

function postgres(strike: (scene: Scene) => Promise<Strike>) {
  return (scene: Scene) => [{ resource: 'postgres', on: {}, strike: () => strike(scene) }];
}

// Faults of the connection between a gateway and PostgreSQL.

const REFUSED_MS = [200, 6_000] as const;
const SLOW_MS = [1_000, 6_000] as const;
/** Delay in each direction. A commit is one round trip, and the renewal of a lease must be answered within 2 s. */
const DELAY_MS = [10, 400] as const;

export const wireFaults: readonly FaultKind[] = [
  {
    name: 'wire: cut',
    weight: 6,
    candidates: forEachWire((wire) => {
      wire.cut();
      return NOTHING_TO_HEAL;
    }),
  },
  {
    name: 'wire: refused',
    weight: 5,
    candidates: forEachWire((wire, { random }) => {
      wire.refuse();
      return { holdMs: random.between(...REFUSED_MS), heal: async () => wire.open() };
    }),
  },
  {
    name: 'wire: slow',
    weight: 5,
    candidates: forEachWire((wire, { random }) => {
      wire.slowDown(random.between(...DELAY_MS));
      return { holdMs: random.between(...SLOW_MS), heal: async () => wire.open() };
    }),
  },
  {
    // Such connections are never repaired: the gateway must detect them itself.
    name: 'wire: half open',
    weight: 4,
    candidates: forEachWire((wire) => {
      wire.silence();
      return NOTHING_TO_HEAL;
    }),
  },
];

function forEachWire(strike: (wire: Wire, scene: Scene) => Strike) {
  return (scene: Scene): Candidate[] =>
    scene.world.wires.map((wire, gateway) => ({
      resource: `wire ${gateway}`,
      on: { gateway },
      strike: async () => strike(wire, scene),
    }));
}

/** How long the disk stays full. The user goes on meanwhile. */
const FULL_MS = [1_000, 6_000] as const;

/** The user's own code fills the disk, as in real life. */
export const diskFault: FaultKind = {
  name: 'disk: full',
  weight: 6,
  candidates: ({ users, random }) =>
    users.map((user) => ({
      resource: `user ${user.name}`,
      on: { user: user.name },
      strike: async () => {
        const filled = await user.ask('fill');
        if (filled?.answer?.status !== 'OK') return null;
        // If the worker was lost meanwhile, the file is gone with it, and `unfill` accepts that.
        const heal = async () => void (await user.ask('unfill'));
        return { holdMs: random.between(...FULL_MS), heal };
      },
    })),
};
