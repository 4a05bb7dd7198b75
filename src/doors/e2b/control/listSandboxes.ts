/** `GET /v2/sandboxes`, and the older `GET /sandboxes`. */

import type { Session } from '../../../domain/session.ts';
import type { PageRequest, SessionFilter } from '../../../service/lists/lists.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import { userPrefixOf } from '../../shared/target.ts';
import { sandboxIdIn, userOf } from '../sandbox.ts';
import { environmentOf, refuse } from './newSandbox.ts';
import { beginAnswer, type ControlCall, endOf, factsOf, listedModel } from './sandboxes.ts';

// The query of a request for a list of sandboxes.

const STATES = ['running', 'paused'];

interface ListQuery {
  /** Nothing is ever paused, so a list of paused sandboxes is empty. */
  readonly isOfRunning: boolean;
  readonly filter: Omit<SessionFilter, 'tenant' | 'users' | 'userUuid' | 'isOpen'>;
  readonly page: { readonly first: number | null; readonly after: string | null };
}

/** @throws BAD_USER_INPUT */
export function readListQuery(query: URLSearchParams): ListQuery {
  const template = textIn(query, 'template');
  return {
    isOfRunning: isOfRunning(query),
    filter: {
      metadata: metadataIn(query.get('metadata') ?? ''),
      from: timeIn(query, 'startedAfter'),
      environment: template === null ? null : { name: environmentOf(template) },
      oldestFirst: isAscending(textIn(query, 'order')),
    },
    page: { first: numberIn(query, 'limit'), after: textIn(query, 'nextToken') },
  };
}

/**
 * Parses the parameter `metadata`, whose value is again a query string. SDKs encode each key and each value once more.
 * @throws BAD_USER_INPUT
 */
export function metadataIn(text: string): Readonly<Record<string, string>> {
  const pairs = [...new URLSearchParams(text)].map((pair) => pair.map(decoded));
  return Object.fromEntries(pairs);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('metadata must have keys and values that are percent-encoded UTF-8.');
  }
}

/** Several states are separated by commas. Old clients repeat the parameter instead. */
function isOfRunning(query: URLSearchParams): boolean {
  const states = query.getAll('state').flatMap((each) => each.split(',').filter((one) => one));
  if (states.some((state) => !STATES.includes(state)))
    refuse(`state must be one or both of ${STATES.join(' and ')}.`);
  return states.length === 0 || states.includes('running');
}

function isAscending(order: string | null): boolean {
  if (order !== null && order !== 'asc' && order !== 'desc') refuse('order must be asc or desc.');
  return order === 'asc';
}

function timeIn(query: URLSearchParams, name: string): Date | null {
  const text = textIn(query, name);
  if (text === null) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? refuse(`${name} must be a date and time.`) : time;
}

function numberIn(query: URLSearchParams, name: string): number | null {
  const text = textIn(query, name);
  if (text === null) return null;
  return /^\d{1,9}$/.test(text) ? Number(text) : refuse(`${name} must be a whole number.`);
}

function textIn(query: URLSearchParams, name: string): string | null {
  return query.get(name) || null;
}

/**
 * Answers with one page of this key's running sandboxes. The header `x-next-token` says where the next page begins.
 * @throws DomainError
 */
export async function listSandboxes(request: ControlCall): Promise<void> {
  const { call } = request;
  const { isOfRunning, filter, page } = readListQuery(call.query);
  if (!isOfRunning) return answerJson(call.res, 200, []);
  const { edges, hasNextPage } = await read(request, filter, page);
  const next = hasNextPage ? edges.at(-1)?.cursor : undefined;
  if (next !== undefined) call.res.setHeader('x-next-token', next);
  const sessions = edges.map(({ item }) => item);
  answerJson(call.res, 200, await described(request, sessions));
}

/** Answers with all running sandboxes at once. Each has a worker, so there are not many. @throws DomainError */
export async function listAll(request: ControlCall): Promise<void> {
  const { call } = request;
  const filter = { metadata: metadataIn(call.query.get('metadata') ?? '') };
  const sessions: Session[] = [];
  let after: string | null = null;
  for (;;) {
    const { edges, hasNextPage } = await read(request, filter, { after });
    sessions.push(...edges.map(({ item }) => item));
    if (!hasNextPage) break;
    after = edges.at(-1)?.cursor ?? null;
  }
  answerJson(call.res, 200, await described(request, sessions));
}

function read({ call }: ControlCall, filter: ListQuery['filter'], page: PageRequest) {
  const users = { prefix: userPrefixOf(call.principal) };
  return call.service.sessions({ ...filter, users, isOpen: true }, page);
}

async function described(
  { call, deps }: ControlCall,
  sessions: readonly Session[],
): Promise<object[]> {
  const answer = beginAnswer(call);
  const now = deps.now();
  const living = sessions.flatMap((session) => {
    const sandboxId = sandboxIdIn(session.userUuid);
    const endAt = endOf(answer, session, now);
    if (sandboxId === null || endAt === null) return [];
    // Another key's prefix may begin with the prefix of this key.
    const isOwn = session.userUuid === userOf(call.principal, sandboxId);
    return isOwn ? [{ session, sandboxId, endAt }] : [];
  });
  return await Promise.all(
    living.map(async ({ session, ...which }) =>
      listedModel(session, await factsOf(answer, session, which)),
    ),
  );
}
