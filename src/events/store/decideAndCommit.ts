/**
 * Changes a recorded state that others may change at the same time: load, decide, commit. If another writer commits
 * first, the state is loaded and decided on again. So a decision always fits the state that it is committed on.
 */
import { type Commit, type Committed, ConcurrencyError, type EventStore } from './eventStore.ts';

/** An attempt fails only if another writer succeeded, so a few attempts are enough. More would be a defect. */
const MAX_ATTEMPTS = 20;

/** The result of `decide`. */
export type Decision<Refusal> =
  | { readonly type: 'commit'; readonly commit: Commit }
  /** Records nothing, for the given reason. */
  | { readonly type: 'refuse'; readonly refusal: Refusal };

/** What became of a decision. */
export type Outcome<Refusal> =
  | { readonly type: 'committed'; readonly committed: Committed }
  | { readonly type: 'refused'; readonly refusal: Refusal };

export interface Deciding<State, Refusal> {
  /** Reads the state, perhaps from memory. @param isAgain another writer was first, so memory may be stale */
  readonly load: (isAgain: boolean) => Promise<State>;
  /** Pure, because it may be called again with a newly loaded state. */
  readonly decide: (state: State) => Decision<Refusal>;
}

/** @throws what `load` and `decide` throw, and what {@link EventStore.commit} throws except ConcurrencyError */
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
 * Repeats `attempt` as long as another writer commits first. This is for callers that must take something, such as a
 * worker, between deciding and committing.
 * @throws what `attempt` throws except ConcurrencyError
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

/** Commits the appends that have events. Refuses with `unchanged` if none has: the wanted state is recorded already. */
export function commitChanges({ streams, ...rest }: Commit): Decision<'unchanged'> {
  const changed = streams.filter(({ events }) => events.length > 0);
  return changed.length === 0
    ? { type: 'refuse', refusal: 'unchanged' }
    : { type: 'commit', commit: { ...rest, streams: changed } };
}
