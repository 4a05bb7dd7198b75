import { DomainError } from '../../domain/errors.ts';
import type { Actor } from '../../domain/events.ts';
import type { Database } from '../../events/database.ts';
import { AskerGoneError, type Commit } from '../../events/store/eventStore.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { tokenEnded } from './tokenEnd.ts';

/**
 * The dependencies of the operations that a principal calls: what these commit has the principal as its actor, so no
 * operation can forget it. They are made once for each principal.
 */
export function createActorDeps(deps: ServiceDeps): (principal: Principal) => ServiceDeps {
  const made = new WeakMap<Principal, ServiceDeps>();
  return (principal) => {
    const known = made.get(principal);
    if (known) return known;
    const own = depsOf(deps, principal);
    made.set(principal, own);
    return own;
  };
}

function depsOf(deps: ServiceDeps, principal: Principal): ServiceDeps {
  const database = withActor(deps.database, principal);
  const pool = principal.isOfSession ? withoutClaims(deps.pool) : deps.pool;
  return { ...deps, database, pool, tokenEnd: principal.tokenEnd };
}

/** The same pool for the holder of a key to one session, which opens no other in its place. */
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
 * Nothing begins for a token that has ended, e.g. after a wait for a worker or for the database. Input that runs on is
 * not given, either. What has begun is recorded to its end.
 */
function isBeginning({ streams }: Commit): boolean {
  return streams.some(
    ({ state, events }) => state === null || events.some(({ type }) => type === 'InputSent'),
  );
}

/** What the metadata of an event says of who caused it. */
export function actorOf({ tokenId, role, tenant, door }: Principal): Actor {
  return { token: tokenId, role, tenant, door };
}
