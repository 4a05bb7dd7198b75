/** Which session a client means, and what it calls the session of an execution. */
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { singleUser } from '../../domain/users.ts';
import { type Place, placeOf } from '../shared/place.ts';
import type { McpCall } from './mcpCall.ts';

/** The client's session, and where that is. */
export interface ClientSession {
  /** What the client passes to get here again. */
  readonly id: string;
  readonly place: Place;
}

/** Those of Open WebUI and of whoever can set a header for each chat. */
const SESSION_HEADERS = ['x-session-id', 'x-openwebui-chat-id'] as const;
const USER_HEADER = 'x-user-id';
/** What the default context of a token for one user is called. */
const DEFAULT_ID = 'default';

/** The session that a call means: the argument, else a header, else that of the token's one user, else a new one. */
export function sessionOf(
  call: Pick<McpCall, 'principal' | 'headers' | 'deps'>,
  given: string | undefined,
): ClientSession {
  return sessionNamed(call, nameIn(call, given) ?? call.deps.newId());
}

/** The same for a call that makes no session. @throws BAD_USER_INPUT if it means a new one */
export function openedSessionOf(
  call: Pick<McpCall, 'principal' | 'headers'>,
  given: string | undefined,
): ClientSession {
  const name = nameIn(call, given);
  if (name !== undefined) return sessionNamed(call, name);
  throw new DomainError('BAD_USER_INPUT', 'session_id is needed: pass that of an earlier result.', {
    field: 'session_id',
  });
}

function nameIn(
  { principal, headers }: Pick<McpCall, 'principal' | 'headers'>,
  given: string | undefined,
): string | undefined {
  const inHeader = SESSION_HEADERS.map((name) => textOf(headers[name])).find(Boolean);
  return given ?? inHeader ?? (isForOneUser(principal) ? DEFAULT_ID : undefined);
}

function sessionNamed(
  { principal, headers }: Pick<McpCall, 'principal' | 'headers'>,
  id: string,
): ClientSession {
  if (isForOneUser(principal))
    return { id, place: placeOf(principal, id === DEFAULT_ID ? null : id) };
  return { id, place: placeOf(principal, userPrefix(headers) + id) };
}

/**
 * What the client calls the session of an execution. Null: nothing that it can pass, because the session belongs to
 * another door or to another of the client's users, its name was too long, its context is not open, or it is a command of one
 * user, which is in no context.
 */
export async function idOfSession(
  { principal, headers, service }: Pick<McpCall, 'principal' | 'headers' | 'service'>,
  { userUuid, contextId, language }: Pick<Execution, 'userUuid' | 'contextId' | 'language'>,
): Promise<string | null> {
  if (isForOneUser(principal)) {
    if (contextId === null) return language === 'BASH' ? null : DEFAULT_ID;
    return (await service.contexts(userUuid)).find(({ id }) => id === contextId)?.name ?? null;
  }
  const prefix = placeOf(principal, userPrefix(headers)).userUuid;
  const id = userUuid.slice(prefix.length);
  return userUuid.startsWith(prefix) && id !== '' ? id : null;
}

function isForOneUser({ users }: McpCall['principal']): boolean {
  return singleUser(users) !== null;
}

/** So that two users who chose the same id do not meet: what is encoded has no colon. */
function userPrefix(headers: McpCall['headers']): string {
  const user = textOf(headers[USER_HEADER]);
  return user === null ? '' : `${encodeURIComponent(user.toWellFormed())}:`;
}

function textOf(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) || null;
}
