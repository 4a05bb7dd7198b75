import type { Database } from '../events/database.ts';
import { listenForNews } from '../events/wakeUps/wakeUps.ts';

/**
 * How long a caller waits until its request to a kernel is carried out. On a busy machine, the start of a kernel
 * without a fork server takes some seconds. A take-over before the start may take as long.
 */
export const CARRY_OUT_LIMIT_MS = 30_000;
/** The event feed reports changes. If it was interrupted, a read at this interval finds the change that it missed. */
const POLL_INTERVAL_MS = 5_000;

export interface Awaited<State> {
  readonly streamId: string;
  readonly read: () => Promise<State>;
  /** Whether the wait is over. */
  readonly isDone: (state: State) => boolean;
  /** Called after {@link CARRY_OUT_LIMIT_MS}. Returns the state to resolve with, or throws. */
  readonly whenLate: (state: State) => State;
}

/** Resolves with the first state of the stream for which `isDone` is true. @throws what `whenLate` throws */
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
