/** Finds the session and the context in which a client of a door works. */
import { createHash } from 'node:crypto';
import { singleUser } from '../../domain/users.ts';
import type { Principal } from '../../service/principal.ts';
import type { BoundService } from '../../service/service.ts';

export interface Target {
  readonly userUuid: string;
  /** The name of the context. Null: the default one of the session. */
  readonly contextName: string | null;
}

/** The longest name of a user or a context (`validateUserUuid`, `validateContext`). */
const MAX_NAME_CHARS = 128;

/**
 * With a token for one user, the session is that user's, and `id` names a context of it. With any other token, each
 * `id` has a user of its own, and so a session of its own. The user's name begins with the token's prefix of users, or
 * else with the token's id, followed by the door. So two doors of a token never share a session, nor do two tokens
 * whose users do not overlap.
 * @param id the client's name for the session or context. Null: the client gave none. With a token for one user, that
 * means the default context
 */
export function targetOf(
  { users, tokenId, door }: Pick<Principal, 'users' | 'tokenId' | 'door'>,
  id: string | null,
): Target {
  const userUuid = singleUser(users);
  if (userUuid !== null) return { userUuid, contextName: id === null ? null : shortened('', id) };
  const prefix = userPrefixOf({ users, tokenId, door });
  return { userUuid: shortened(prefix, id ?? ''), contextName: null };
}

/** The prefix of the users whose sessions a token opens at its door. Not for a token for one user. */
export function userPrefixOf({
  users,
  tokenId,
  door,
}: Pick<Principal, 'users' | 'tokenId' | 'door'>): string {
  const owner = users !== null && 'prefix' in users ? users.prefix : tokenId;
  return `${owner}:${door}:`;
}

/**
 * The id of the target's context, which is created if there is none. Null: the default context.
 * @param gone aborted when the client has gone. A call that still waits for a worker is then given up
 */
export async function contextOf(
  service: Pick<BoundService, 'createContext'>,
  { userUuid, contextName }: Target,
  gone?: AbortSignal,
): Promise<string | null> {
  if (contextName === null) return null;
  return (await service.createContext({ userUuid, name: contextName, gone })).id;
}

/** The id of the target's context. Null: the default context. Undefined: there is no such open context. */
export async function openContextOf(
  service: Pick<BoundService, 'contexts'>,
  { userUuid, contextName }: Target,
): Promise<string | null | undefined> {
  if (contextName === null) return null;
  return (await service.contexts(userUuid)).find(({ name }) => name === contextName)?.id;
}

/**
 * Returns the prefix with the id. An id that is too long, or has characters that no name may have, is replaced by its
 * hash.
 */
function shortened(prefix: string, id: string): string {
  const isName = id.isWellFormed() && !id.includes('\0');
  if (isName && prefix.length + id.length <= MAX_NAME_CHARS) return prefix + id;
  const hash = createHash('sha256').update(JSON.stringify(id)).digest('base64url');
  return `${prefix}~${hash}`;
}
