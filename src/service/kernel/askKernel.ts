import { within } from '../../async/within.ts';
import type { KernelAnswer, KernelQuestion } from '../../domain/kernelQuestion.ts';
import { contextNamed, isDefaultOf, parseContextId } from '../contexts/openContext.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { openSessionOf } from './openSessionOf.ts';
import { validateQuestion } from './validateQuestion.ts';

/** Short, because a user who types waits for the answer. */
const ANSWER_LIMIT_MS = 2_000;

export interface KernelRequest {
  readonly userUuid: string;
  /** Null or left out: the default context. */
  readonly contextId?: string | null | undefined;
  readonly question: KernelQuestion;
}

/**
 * Asks a kernel of the user's open session a question, while the kernel runs nothing. Resolves within
 * {@link ANSWER_LIMIT_MS}. Null: there is no session, the kernel runs code or is not ready, or the answer takes too
 * long. A question is not recorded, opens no session, and does not count as a use of the session
 * (docs/decisions/0062-questions-are-no-executions.md).
 * @throws BAD_USER_INPUT; NOT_FOUND for a context that is not open
 */
export async function askKernel(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'pool'>,
  { tenant }: Principal,
  { userUuid, contextId, question }: KernelRequest,
): Promise<KernelAnswer | null> {
  const owner = { tenant, userUuid: validateUserUuid(userUuid) };
  const named = parseContextId(contextId);
  validateQuestion(question);
  const answer = async () => {
    const session = await openSessionOf(deps, owner);
    if (session === null) return null;
    await contextNamed(deps, owner, named);
    const worker = await deps.database.queries.worker(session.workerId);
    const inContext = named === null || isDefaultOf(session, named) ? null : named;
    return worker && (await deps.pool.askKernel(worker, { contextId: inContext, question }));
  };
  return await within(ANSWER_LIMIT_MS, answer(), () => null);
}
