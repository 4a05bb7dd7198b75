import { DomainError } from '../../domain/errors.ts';
import type { Actor } from '../../domain/events.ts';
import type { Database } from '../../events/database.ts';
import { AskerGoneError, type Commit } from '../../events/store/eventStore.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { tokenEnded } from './tokenEnd.ts';

/**
 * Gives a principal its own dependencies. Every commit through them has the principal as its actor, so no
 * operation can forget it.
 */
export function actorDeps(deps: ServiceDeps, principal: Principal): ServiceDeps {
  const database = withActor(deps.database, principal);
  const pool = principal.isOfSession ? withoutClaims(deps.pool) : deps.pool;
  return { ...deps, database, pool, tokenEnd: principal.tokenEnd };
}

/** The same pool, but `claim` fails: the holder of a key to one session must not open another in its place. */
function withoutClaims(pool: ServiceDeps['pool']): ServiceDeps['pool'] {
  const claim = () =>
    Promise.reject(new DomainError('SESSION_ENDED', 'The session of this key has ended.'));
  return Object.create(pool, { claim: { value: claim } });
}

/** The same database, whose commits have the principal as their actor. */
export function withActor(database: Database, principal: Principal): Database {
  const actor = actorOf(principal);
  const { store } = database;
  const { tokenEnd } = principal;
  const commit = async (asked: Commit) => {
    const asker = isBeginning(asked) ? { asker: tokenEnd } : {};
    try {
      return await store.commit({ ...asked, ...asker, actor });
    } catch (error: unknown) {
      throw error instanceof AskerGoneError ? tokenEnded() : error;
    }
  };
  return { ...database, store: { ...store, commit } };
}

/**
 * Whether the commit creates a stream or sends input. Such a commit fails if the token has ended, e.g. during a wait
 * for a worker or for the database. Other commits do not fail: they continue something that was accepted while the
 * token was valid.
 */
function isBeginning({ streams }: Commit): boolean {
  return streams.some(
    ({ state, events }) => state === null || events.some(({ type }) => type === 'InputSent'),
  );
}

/** The actor in the metadata of an event: who caused it. */
export function actorOf({ tokenId, role, tenant, door }: Principal): Actor {
  return { token: tokenId, role, tenant, door };
}
