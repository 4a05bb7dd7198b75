/** A kernel restart that works on any gateway, in the same way as an interrupt (interrupt.ts). */
import { DomainError } from '../../domain/errors.ts';
import { decideSession, type Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { contextNamed, parseContextId, requestContextRestart } from '../contexts/contexts.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { CARRY_OUT_LIMIT_MS, untilCarriedOut } from '../waiting.ts';

interface RequestKernelRestartDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/** Resolves with the session after a restart, or with null if the session is closed. @throws POOL_INITIALIZING */
export async function requestKernelRestart(
  deps: RequestKernelRestartDeps,
  session: Session,
): Promise<Session | null> {
  const requested = await record(deps, session);
  return requested && (await replaced(deps, requested));
}

async function record(
  { database, now }: RequestKernelRestartDeps,
  { id }: Session,
): Promise<Session | null> {
  const outcome = await decideAndCommit(database.store, {
    load: () => database.queries.session(id),
    decide: (state) => {
      const command = { type: 'RequestKernelRestart', at: now().toISOString() } as const;
      const events = decideSession(command, state);
      return commitChanges({ streams: [{ stream: 'session', id, state, events }] });
    },
  });
  return outcome.type === 'committed' ? (outcome.committed.states[0] as Session) : null;
}

/** Null: the session was closed. */
async function replaced(
  { database }: RequestKernelRestartDeps,
  { id, kernelRestarts }: Session,
): Promise<Session | null> {
  const session = await untilCarriedOut(database, {
    streamId: id,
    read: () => database.queries.session(id),
    isDone: (state) =>
      state === null || state.closedAt !== null || state.kernelRestarts > kernelRestarts,
    whenLate: () => {
      throw notYet();
    },
  });
  return session?.closedAt === null ? session : null;
}

function notYet(): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `The kernel was not replaced within ${CARRY_OUT_LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers. The session's \`kernelRestarts\` will then have grown.`,
  );
}

/**
 * Replaces a kernel of the user's open session.
 * @param contextId whose kernel. Null or left out: that of the default context
 * @throws NOT_FOUND, POOL_INITIALIZING
 */
export async function restartKernel(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
  contextId?: string | null,
): Promise<Session> {
  const owner = { tenant, userUuid: validateUserUuid(userUuid) };
  const session = await deps.database.queries.openSession(tenant, userUuid);
  if (session === null) throw notFound('open session of user', userUuid);
  const context = await contextNamed(deps, owner, parseContextId(contextId));
  if (context) {
    await requestContextRestart(deps, context);
    return session;
  }
  const restarted = await requestKernelRestart(deps, session);
  if (!restarted) throw notFound('open session of user', userUuid);
  return restarted;
}
