/** Users at work: some stay and do all kinds of things, one after the other; visitors come for one call and go. */
import { setTimeout as delay } from 'node:timers/promises';
import type { TestGateway } from '../../testkit/gateway.ts';
import { execute, poolStatus } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { STEPS, VISIT } from './steps.ts';

/** Between two visitors: each costs the machine a container. */
const VISIT_PAUSE_MS = 1_000;
/** Making a worker may take long on a machine that does other things as well. */
const SETTLE_LIMIT_MS = 60_000;

export interface MixedLoad {
  /** Works for so long, then until all that was begun is over and the pool is at rest. @throws Error if something went wrong */
  run(ms: number): Promise<void>;
  /** How often each step was done. */
  readonly counts: ReadonlyMap<string, number>;
}

export function createMixedLoad(gateway: TestGateway, users: readonly string[]): MixedLoad {
  const counts = new Map<string, number>();
  const steps = Object.entries(STEPS);
  // Each begins elsewhere, so that the kinds come at the same time.
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
        throw new Error(`${user}, ${name}: it went wrong.`, { cause });
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
    // It comes after everything that the user has left running.
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
