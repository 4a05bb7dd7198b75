/**
 * How a recorded state changes when others may change it at the same time: load, decide, commit. Whoever was beaten by another writer loads and decides
 * again, so a decision always fits what is recorded when it is committed.
 */
import { type Commit, type Committed, ConcurrencyError, type EventStore } from './eventStore.ts';

/** Each attempt loses only to another writer's success, so a few are plenty; more would be a defect. */
const MAX_ATTEMPTS = 20;

/** What was decided on a state. */
export type Decision<Refusal> =
  | { readonly type: 'commit'; readonly commit: Commit }
  /** Nothing is to be recorded, and why. */
  | { readonly type: 'refuse'; readonly refusal: Refusal };

/** What became of it. */
export type Outcome<Refusal> =
  | { readonly type: 'committed'; readonly committed: Committed }
  | { readonly type: 'refused'; readonly refusal: Refusal };

export interface Deciding<State, Refusal> {
  /** Reads what is decided on; it may come from memory. @param isAgain another writer was first: memory may be stale */
  readonly load: (isAgain: boolean) => Promise<State>;
  /** Asks nobody and changes nothing; called again with what is loaded anew. */
  readonly decide: (state: State) => Decision<Refusal>;
}

/** @throws what `load` and `decide` throw, and what {@link EventStore.commit} throws but for a ConcurrencyError */
export async function decideAndCommit<State, Refusal>(
  store: Pick<EventStore, 'commit'>,
  { load, decide }: Deciding<State, Refusal>,
): Promise<Outcome<Refusal>> {
  return await decideAgain(async (isAgain): Promise<Outcome<Refusal>> => {
    const decision = decide(await load(isAgain));
    if (decision.type === 'refuse') return { type: 'refused', refusal: decision.refusal };
    return { type: 'committed', committed: await store.commit(decision.commit) };
  });
}

/**
 * For what must take something (a worker, say) between deciding and committing: repeats the whole attempt while its commit
 * loses to another writer. @throws what `attempt` throws otherwise
 */
export async function decideAgain<T>(attempt: (isAgain: boolean) => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt(count > 1);
    } catch (error: unknown) {
      if (!(error instanceof ConcurrencyError) || count === MAX_ATTEMPTS) throw error;
    }
  }
}

/** Commits the appends that have events; with none, it refuses: what was asked for is so already. */
export function commitChanges({ streams, ...rest }: Commit): Decision<'unchanged'> {
  const changed = streams.filter(({ events }) => events.length > 0);
  return changed.length === 0
    ? { type: 'refuse', refusal: 'unchanged' }
    : { type: 'commit', commit: { ...rest, streams: changed } };
}
