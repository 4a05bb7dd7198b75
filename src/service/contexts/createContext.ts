import { randomInt } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { type Context, decideContext } from '../../domain/context.ts';
import { DomainError } from '../../domain/errors.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { unlessStopping } from '../execute/unlessStopping.ts';
import { untilInitialized } from '../execute/untilInitialized.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { EnsureSessionDeps } from '../sessions/opening/ensureSession.ts';
import { validateUserUuid } from '../validate.ts';
import { type ContextView, viewOf } from './contextView.ts';
import { requireDirectory } from './requireDirectory.ts';
import { sessionForContexts } from './sessionForContexts.ts';
import { untilContext } from './untilContext.ts';
import { type AskedContext, type ContextRequest, validateContext } from './validateContext.ts';

/** Tells the caller of a call without a name what goes on when the gateway stops. */
const IS_MADE =
  'The context is being made, and `contexts` lists it. The call had no name, so sending it again would make another one.';

type CreateContextDeps = EnsureSessionDeps & Pick<ServiceDeps, 'config' | 'stopping'>;

/**
 * Creates a context in the user's session. Resolves when its kernel is ready, or after 30 s with the context as it is.
 * Opens a session if there is none. A name makes the call safe to repeat: if an open context has the name, the call
 * resolves with that context. Works on any gateway.
 * @throws BAD_USER_INPUT, also if the open context of that name begins in another folder; CONTEXT_LIMIT,
 * CONTEXT_FAILED, NOT_FOUND, NOT_A_DIRECTORY, POOL_INITIALIZING, POOL_EXHAUSTED, and the errors of `fileErrors.ts`
 */
export async function createContext(
  deps: CreateContextDeps,
  { tenant }: Principal,
  request: ContextRequest,
): Promise<ContextView> {
  const owner = { tenant, userUuid: validateUserUuid(request.userUuid) };
  const asked = validateContext(request);
  await untilInitialized(deps.pool);
  const run = async (onAccepting: () => void) => {
    const context = await decideAgain(async (isAgain) => {
      if (isAgain) await deps.sessions.refresh(tenant, owner.userUuid);
      const session = await sessionForContexts(deps, owner, deps.config.workerWaitTimeoutMs);
      return await findOrCreate(deps, session, asked, onAccepting);
    });
    return viewOf(await untilReady(deps, context));
  };
  return await unlessStopping(deps, asked.name !== null, run, IS_MADE);
}

async function findOrCreate(
  deps: CreateContextDeps,
  session: Session,
  asked: AskedContext,
  onAccepting: () => void,
): Promise<Context> {
  const open = await deps.database.queries.openContexts([session.id]);
  const named = asked.name === null ? undefined : open.find(({ name }) => name === asked.name);
  if (named && named.status !== 'ENDING') return sameAs(named, asked);
  if (named) {
    // The name is free once it has ended.
    await untilEnded(deps, named);
    throw new ConcurrencyError('context');
  }
  const slot = freeSlot(open, deps.config);
  await requireDirectory(deps, session, asked.workingDirectory);
  onAccepting();
  return await create(deps, session, { ...asked, slot });
}

async function create(
  { database, newId, now }: CreateContextDeps,
  { id: sessionId, version, workerId, tenant, userUuid }: Session,
  asked: AskedContext & { readonly slot: number },
): Promise<Context> {
  const id = newId<ContextId>();
  const at = now().toISOString();
  const who = { contextId: id, sessionId, workerId, tenant, userUuid };
  const events = decideContext({ type: 'CreateContext', at, ...who, ...asked }, null);
  const { states } = await database.store.commit({
    streams: [{ stream: 'context', id, state: null, events }],
    openSessions: [{ id: sessionId, version }],
  });
  return states[0] as Context;
}

/**
 * A random free slot, so that calls at the same time seldom choose the same one.
 * @throws CONTEXT_LIMIT
 */
function freeSlot(open: readonly Context[], { maxContexts }: Config): number {
  const taken = new Set(open.map(({ slot }) => slot));
  const free = Array.from({ length: maxContexts }, (_, slot) => slot).filter((n) => !taken.has(n));
  const slot = free[randomInt(Math.max(1, free.length))];
  if (slot !== undefined && open.length < maxContexts) return slot;
  throw new DomainError(
    'CONTEXT_LIMIT',
    `This session already has ${open.length} contexts beside its default one, and at most ${maxContexts} are allowed. Delete one first.`,
    { limit: maxContexts },
  );
}

function sameAs(named: Context, { workingDirectory }: AskedContext): Context {
  if (named.workingDirectory === workingDirectory) return named;
  throw new DomainError(
    'BAD_USER_INPUT',
    'workingDirectory differs from that of the open context with this name. Take another name, or delete that context first.',
    { field: 'workingDirectory', contextId: named.id },
  );
}

async function untilEnded({ database }: CreateContextDeps, { id }: Context): Promise<void> {
  await untilContext(database, id, () => false, 'The context of this name was not deleted');
}

async function untilReady({ database }: CreateContextDeps, { id }: Context): Promise<Context> {
  const isReady = ({ status }: Context) => status === 'READY';
  // A long start is no error: a caller who repeated the call would get another context each time.
  const context = await untilContext(database, id, isReady, null);
  if (context.endReason === null) return context;
  if (context.endReason === 'failed') throw failed(id);
  throw new DomainError(
    'NOT_FOUND',
    `The context was ended before its kernel was ready (${context.endReason}).`,
    { contextId: id },
  );
}

function failed(contextId: ContextId): DomainError {
  return new DomainError(
    'CONTEXT_FAILED',
    'No kernel of the context could be started. Either the processes or the memory of the worker are used up (WORKER_PIDS, WORKER_MEMORY_MB), or its folder has just vanished.',
    { contextId },
  );
}
