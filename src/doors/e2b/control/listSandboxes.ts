/** `GET /v2/sandboxes`, and `GET /sandboxes` of former days. */
import type { Session } from '../../../domain/session.ts';
import type { PageRequest } from '../../../service/lists/page.ts';
import { sessionPrefixOf } from '../../shared/place.ts';
import { answerJson } from '../answer.ts';
import { sandboxIdIn, userOf } from '../sandbox/names.ts';
import { type ListQuery, metadataIn, readListQuery } from './listQuery.ts';
import { listedModel } from './models.ts';
import { beginAnswer, endOf, factsOf } from './openSandbox.ts';
import type { ControlCall } from './route.ts';

/** A page of the sandboxes of this key that live. The header `x-next-token` says where the next one begins. @throws DomainError */
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

/** All of them at once: each has a worker, so there are not many. @throws DomainError */
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
  const users = { prefix: sessionPrefixOf(call.principal) };
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
    // Another key's prefix may begin with this one's.
    const isOwn = session.userUuid === userOf(call.principal, sandboxId);
    return isOwn ? [{ session, sandboxId, endAt }] : [];
  });
  return await Promise.all(
    living.map(async ({ session, ...which }) =>
      listedModel(session, await factsOf(answer, session, which)),
    ),
  );
}
