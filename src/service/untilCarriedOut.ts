import type { Database } from '../events/database.ts';
import { listenForNews } from '../events/wakeUps/eventNews.ts';

/**
 * How long a caller waits until its request to a kernel is carried out. On a busy machine, a kernel without a fork
 * server takes some seconds to start, and so may a take-over before it.
 */
export const CARRY_OUT_LIMIT_MS = 30_000;
/** The event feed reports changes. Reads at this interval cover the case that the feed was interrupted when one came. */
const POLL_INTERVAL_MS = 5_000;

export interface Awaited<State> {
  readonly streamId: string;
  readonly read: () => Promise<State>;
  /** Whether the wait is over. */
  readonly isDone: (state: State) => boolean;
  /** What to resolve with after {@link CARRY_OUT_LIMIT_MS}. Or it throws. */
  readonly whenLate: (state: State) => State;
}

/** Resolves with the first state of the stream that is as wanted. @throws what `whenLate` throws */
export async function untilCarriedOut<State>(
  { wakeUps }: Pick<Database, 'wakeUps'>,
  { streamId, read, isDone, whenLate }: Awaited<State>,
): Promise<State> {
  const limit = performance.now() + CARRY_OUT_LIMIT_MS;
  const news = listenForNews(wakeUps, (event) => event.streamId === streamId);
  try {
    for (;;) {
      const state = await read();
      if (isDone(state)) return state;
      if (performance.now() > limit) return whenLate(state);
      await news.next(POLL_INTERVAL_MS);
    }
  } finally {
    news.close();
  }
}
