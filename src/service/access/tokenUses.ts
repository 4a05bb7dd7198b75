import type { Queries } from '../../events/queries/createQueries.ts';
import type { Counted } from './recordCounts.ts';

/** How often the uses are recorded. They are known to the minute. */
const RECORD_INTERVAL_MS = 60_000;

/** The times at which tokens were last used. A use costs its call only an insertion into a set. */
export interface TokenUses extends Counted {
  /** Counts the token as used now. */
  use(tokenId: string): void;
}

export interface TokenUsesDeps {
  readonly queries: Pick<Queries, 'recordTokenUses'>;
  readonly now: () => Date;
}

export function createTokenUses({ queries, now }: TokenUsesDeps): TokenUses {
  let used = new Set<string>();
  let nextAt = now().getTime() + RECORD_INTERVAL_MS;

  async function record(): Promise<void> {
    if (used.size === 0) return;
    const ids = [...used];
    used = new Set();
    const minute = Math.floor(now().getTime() / RECORD_INTERVAL_MS) * RECORD_INTERVAL_MS;
    try {
      await queries.recordTokenUses(ids, new Date(minute));
    } catch (error: unknown) {
      for (const id of ids) used.add(id);
      throw error;
    }
  }

  return {
    use: (tokenId) => void used.add(tokenId),
    recordSome: async () => {
      const ms = now().getTime();
      if (ms < nextAt) return;
      nextAt = ms + RECORD_INTERVAL_MS;
      await record();
    },
    close: record,
  };
}
