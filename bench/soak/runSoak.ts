/** Runs a mixed load on a gateway for a long time, and reads its figures repeatedly while it is at rest. */
import { startTestGateway } from '../../testkit/gateway.ts';
import { containerOf, execute } from '../../testkit/interpreter.ts';
import type { Look } from './figures.ts';
import { openInspector } from './inspector.ts';
import { type FigureVerdict, judge } from './judge.ts';
import { createMixedLoad } from './mixedLoad.ts';
import { takeLook } from './takeLook.ts';

const MS_PER_MINUTE = 60_000;
/** Time for compilers, caches and connection pools to fill up. */
const MAX_WARM_UP_MINUTES = 3;
/** The warm-up's share of a run that is too short for that. */
const WARM_UP_SHARE = 0.3;
/** This many looks are enough for a trend, and leave most of the time for the load. */
const LOOKS = 60;
const MIN_LOOK_INTERVAL_MS = 4_000;
/** If there are fewer looks after the warm-up when the time is over, as on a very busy machine, the run goes on. */
const MIN_STEADY_LOOKS = 6;
/** These users together with the visitors keep two cores busy. */
const USERS = ['soak-1', 'soak-2', 'soak-3'];

export interface SoakResult {
  /** All looks, including those of the warm-up. */
  readonly looks: readonly Look[];
  readonly warmUpMinutes: number;
  /** The verdicts on the looks after the warm-up. */
  readonly verdicts: readonly FigureVerdict[];
  /** How often each kind of step was done. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * @param onLook gets each look when it is taken
 * @throws Error if a call gets a wrong answer
 */
export async function runSoak(
  minutes: number,
  onLook: (look: Look) => void = () => undefined,
): Promise<SoakResult> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '1',
    NODE_OPTIONS: '--inspect=127.0.0.1:0',
  });
  try {
    const inspector = await openInspector(gateway.log());
    for (const user of USERS) await execute(gateway, user, '1');
    const containers = await Promise.all(USERS.map((user) => containerOf(gateway, user)));
    const load = createMixedLoad(gateway, USERS);
    const startedAt = performance.now();
    const durationMs = minutes * MS_PER_MINUTE;
    const intervalMs = Math.max(MIN_LOOK_INTERVAL_MS, durationMs / LOOKS);
    const warmUpMinutes = Math.min(MAX_WARM_UP_MINUTES, minutes * WARM_UP_SHARE);
    const looks: Look[] = [];
    const steady = () => looks.filter(({ minute }) => minute >= warmUpMinutes);
    while (performance.now() - startedAt < durationMs || steady().length < MIN_STEADY_LOOKS) {
      await load.run(intervalMs);
      const look = await takeLook({ gateway, inspector, containers, startedAt });
      looks.push(look);
      onLook(look);
    }
    inspector.close();
    return { looks, warmUpMinutes, verdicts: judge(steady()), counts: load.counts };
  } finally {
    await gateway.destroy();
  }
}
