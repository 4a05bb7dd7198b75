/** Faults of the two services that a gateway needs: the engine and PostgreSQL. */
import type { FaultKind, Scene, Strike } from './fault.ts';

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
