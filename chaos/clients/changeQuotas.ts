/** Raises and lowers quotas, by `setQuota` at any gateway, while users act and the nemesis strikes. */
import { pause } from '../../src/async/pause.ts';
import type { Random } from '../random.ts';
import type { Operator, QuotaName } from './operator.ts';

const PAUSE_MEAN_MS = 1_500;
/** Only so many are not as the setting says, so that most users can do something at any time. */
const MAX_CHANGED = 6;

/** A quota that is changed, and what it may become. Null: no limit. */
export interface QuotaChoice {
  readonly quota: QuotaName;
  readonly limits: readonly (number | null)[];
}

interface ChangeDeps {
  readonly operator: Pick<Operator, 'setQuota' | 'resetQuota'>;
  readonly quotas: readonly QuotaChoice[];
  readonly random: Random;
}

/**
 * Changes quotas until `signal` is aborted, and then lets all settings hold again. Resolves with the changes that could
 * not be made.
 */
export async function changeQuotas(
  { operator, quotas, random }: ChangeDeps,
  signal: AbortSignal,
): Promise<string[]> {
  /** The oldest change is the first. */
  const changed = new Set<QuotaName>();
  const failures: string[] = [];

  async function attempt(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => failures.push(`quota: ${String(error)}`));
  }

  async function reset(quota: QuotaName): Promise<void> {
    changed.delete(quota);
    await attempt(operator.resetQuota(quota));
  }

  async function set({ quota, limits }: QuotaChoice): Promise<void> {
    changed.delete(quota);
    changed.add(quota);
    await attempt(operator.setQuota(quota, random.pick(limits) ?? null));
  }

  while (!signal.aborted) {
    await pause(random.waitMs(PAUSE_MEAN_MS), signal);
    const choice = random.pick(quotas);
    if (signal.aborted || !choice) break;
    await set(choice);
    const [oldest] = changed;
    if (oldest && changed.size > MAX_CHANGED) await reset(oldest);
  }
  for (const quota of changed) await reset(quota);
  return failures;
}
