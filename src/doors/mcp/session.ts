/** Finds the session that a client means, and the id by which a client knows the session of an execution. */

import type { ServerContext } from '@modelcontextprotocol/server';
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { singleUser } from '../../domain/users.ts';
import type { DoorCall, DoorDeps } from '../openDoor.ts';
import { type Target, targetOf } from '../shared/target.ts';

/** A session as a client names it, and its place in the service. */
export interface ClientSession {
  /** The `session_id` that the client passes to use this session again. */
  readonly id: string;
  readonly place: Target;
}

/** Headers that name the session of a chat. Any client may send the first; Open WebUI sends the second. */
const SESSION_HEADERS = ['x-session-id', 'x-openwebui-chat-id'] as const;
const USER_HEADER = 'x-user-id';
/** The id of the default context, if the token is for one user. */
const DEFAULT_ID = 'default';

/**
 * The session that the argument names, else a header, else the default one of the token's only user, else a new one.
 */
export function sessionOf(
  call: Pick<McpCall, 'principal' | 'headers' | 'deps'>,
  given: string | undefined,
): ClientSession {
  return sessionNamed(call, nameIn(call, given) ?? call.deps.newId());
}

/** Like {@link sessionOf}, for a call that may not begin a session. @throws BAD_USER_INPUT if no session is named */
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
    return { id, place: targetOf(principal, id === DEFAULT_ID ? null : id) };
  return { id, place: targetOf(principal, userPrefix(headers) + id) };
}

/**
 * The id by which the client knows the session of an execution. Null: there is no id that the client can pass, in one
 * of these cases: the session belongs to another door, or to another of the client's users; the call has a user header,
 * and the session's name was too long, so a hash replaced it; its context is not open; or the token is for one user and
 * the execution is a command, which is in no context.
 */
export async function idOfSession(
  { principal, headers, service }: Pick<McpCall, 'principal' | 'headers' | 'service'>,
  { userUuid, contextId, language }: Pick<Execution, 'userUuid' | 'contextId' | 'language'>,
): Promise<string | null> {
  if (isForOneUser(principal)) {
    if (contextId === null) return language === 'BASH' ? null : DEFAULT_ID;
    return (await service.contexts(userUuid)).find(({ id }) => id === contextId)?.name ?? null;
  }
  const prefix = targetOf(principal, userPrefix(headers)).userUuid;
  const id = userUuid.slice(prefix.length);
  return userUuid.startsWith(prefix) && id !== '' ? id : null;
}

function isForOneUser({ users }: McpCall['principal']): boolean {
  return singleUser(users) !== null;
}

/**
 * A prefix for session ids, so that users who chose the same id get different sessions. An encoded user has no colon.
 */
function userPrefix(headers: McpCall['headers']): string {
  const user = textOf(headers[USER_HEADER]);
  return user === null ? '' : `${encodeURIComponent(user.toWellFormed())}:`;
}

function textOf(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) || null;
}

// What a tool gets of the request that calls it.

export interface McpCall extends Pick<DoorCall, 'service' | 'principal' | 'gone' | 'stopping'> {
  readonly headers: DoorCall['req']['headers'];
  /** Whether the client knows links to resources: since revision 2025-06-18. */
  readonly knowsLinks: boolean;
  readonly deps: DoorDeps;
}

/** Reports a tool's progress. Null: the client did not ask for it. */
export type Notify = ((progress: number, message: string) => Promise<void>) | null;

/** Returns the function that reports progress to the client of `context`. Null: the client did not ask for it. */
export function notifyOf({ mcpReq }: ServerContext): Notify {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return null;
  return (progress, message) =>
    mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken, progress, message },
    });
}
