/** A mixed load: some users stay and do all kinds of steps in turn, while visitors come for one call and go. */
import { setTimeout as delay } from 'node:timers/promises';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { STEPS, VISIT } from './steps.ts';

/** Pause between two visitors, because each costs a container. */
const VISIT_PAUSE_MS = 1_000;
/** Generous, because a busy machine may need long to make a worker. */
const SETTLE_LIMIT_MS = 60_000;

export interface MixedLoad {
  /**
   * Runs the load for this long, then waits until all is done and the pool is at rest.
   * @throws Error if a step failed
   */
  run(ms: number): Promise<void>;
  /** How often each step has been done. */
  readonly counts: ReadonlyMap<string, number>;
}

export function createMixedLoad(gateway: TestGateway, users: readonly string[]): MixedLoad {
  const counts = new Map<string, number>();
  const steps = Object.entries(STEPS);
  // Each user begins with another step, so that different steps run at the same time.
  const next = new Map(
    users.map((user, n) => [user, Math.floor((n * steps.length) / users.length)]),
  );

  function count(name: string): void {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  async function work(user: string, end: number): Promise<void> {
    while (performance.now() < end) {
      const at = next.get(user) ?? 0;
      next.set(user, at + 1);
      const [name = '', step] = steps[at % steps.length] ?? [];
      await step?.(gateway, user).catch((cause: unknown) => {
        throw new Error(`The step "${name}" of ${user} failed.`, { cause });
      });
      count(name);
    }
  }

  async function visit(end: number): Promise<void> {
    while (performance.now() < end) {
      await VISIT(gateway, '');
      count('visit');
      await delay(Math.max(0, Math.min(VISIT_PAUSE_MS, end - performance.now())));
    }
  }

  async function atRest(): Promise<void> {
    // This runs after everything that the user has left running.
    for (const user of users) await execute(gateway, user, '1');
    await until(
      'the pool at rest',
      async () => {
        const { startingWorkers, busyWorkers, idleWorkers } = await poolStatus(gateway);
        return startingWorkers === 0 && busyWorkers === users.length && idleWorkers > 0;
      },
      SETTLE_LIMIT_MS,
    );
  }

  return {
    counts,
    async run(ms) {
      const end = performance.now() + ms;
      await Promise.all([...users.map((user) => work(user, end)), visit(end)]);
      await atRest();
    },
  };
}
