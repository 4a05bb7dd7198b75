/** Where a client of a door works: whose session, and which context of it. */
import { createHash } from 'node:crypto';
import { singleUser } from '../../domain/users.ts';
import type { Principal } from '../../service/principal.ts';
import type { BoundService } from '../../service/service.ts';

export interface Target {
  readonly userUuid: string;
  /** The name of the context. Null: the default one of the session. */
  readonly contextName: string | null;
}

/** As long as the name of a user or a context may be (`validateUserUuid`, `validateContext`). */
const MAX_NAME_CHARS = 128;

/**
 * With a token for one user, it is that user's session, and `id` names a context of it. With any other token, `id` names
 * a session of its own, in which the token and the door have a part: so two tokens never meet, nor do two doors.
 * @param id what the client calls it. Null: nothing; only then is it the default context of the one user
 */
export function targetOf(
  { users, tokenId, door }: Pick<Principal, 'users' | 'tokenId' | 'door'>,
  id: string | null,
): Target {
  const userUuid = singleUser(users);
  if (userUuid !== null) return { userUuid, contextName: id === null ? null : shortened('', id) };
  const prefix = sessionPrefixOf({ users, tokenId, door });
  return { userUuid: shortened(prefix, id ?? ''), contextName: null };
}

/** How the names of all sessions begin that a token has at its door, unless it is for one user. */
export function sessionPrefixOf({
  users,
  tokenId,
  door,
}: Pick<Principal, 'users' | 'tokenId' | 'door'>): string {
  const owner = users !== null && 'prefix' in users ? users.prefix : tokenId;
  return `${owner}:${door}:`;
}

/** The id of the place's context, which is made if it is not there. Null: the default one. */
export async function contextOf(
  service: Pick<BoundService, 'createContext'>,
  { userUuid, contextName }: Target,
): Promise<string | null> {
  if (contextName === null) return null;
  return (await service.createContext({ userUuid, name: contextName })).id;
}

/** The id of the place's context. Null: the default one. Undefined: there is no such open context. */
export async function openContextOf(
  service: Pick<BoundService, 'contexts'>,
  { userUuid, contextName }: Target,
): Promise<string | null | undefined> {
  if (contextName === null) return null;
  return (await service.contexts(userUuid)).find(({ name }) => name === contextName)?.id;
}

/** A name that is too long, or has what no name may have, is replaced by its hash. */
function shortened(prefix: string, id: string): string {
  const isName = id.isWellFormed() && !id.includes('\0');
  if (isName && prefix.length + id.length <= MAX_NAME_CHARS) return prefix + id;
  const hash = createHash('sha256').update(JSON.stringify(id)).digest('base64url');
  return `${prefix}~${hash}`;
}
