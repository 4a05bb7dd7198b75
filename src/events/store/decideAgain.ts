import { ConcurrencyError } from './eventStore.ts';

/** Each attempt loses only to another writer's success, so a few are plenty; more would be a defect. */
const MAX_ATTEMPTS = 20;

/** Reads, decides and commits, again and again while another writer was first. @throws what `attempt` throws otherwise */
export async function decideAgain<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error: unknown) {
      if (!(error instanceof ConcurrencyError) || count === MAX_ATTEMPTS) throw error;
    }
  }
}
