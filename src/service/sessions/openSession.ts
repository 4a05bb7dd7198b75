import { DomainError } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import { differences } from '../../domain/sessionOptions.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { unlessStopping } from '../execute/unlessStopping.ts';
import { untilInitialized } from '../execute/untilInitialized.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid, validateWait } from '../validate.ts';
import { commitOpening } from './opening/ensureSession.ts';
import { type InSessionDeps, inSession } from './opening/inSession.ts';
import type { SessionOwner } from './opening/openingOf.ts';
import { type AskedOptions, type OptionsRequest, validateOptions } from './validateOptions.ts';

export interface OpenSessionRequest extends OptionsRequest {
  readonly userUuid: string;
  readonly waitForWorkerMs?: number | null | undefined;
}

/**
 * Opens the user's session with options, or gives the open one if its options are the same. Resolves when the session
 * has its worker. No code is run, so the call may be repeated.
 * @throws BAD_USER_INPUT, SESSION_OPTIONS_DIFFER, POOL_INITIALIZING, QUOTA_EXCEEDED, POOL_EXHAUSTED,
 * WORKER_START_FAILED
 */
export async function openSession(
  deps: InSessionDeps & Pick<ServiceDeps, 'config' | 'stopping'>,
  { tenant }: Principal,
  request: OpenSessionRequest,
): Promise<Session> {
  const owner = { tenant, userUuid: validateUserUuid(request.userUuid) };
  const asked = validateOptions(request, deps.config, tenant);
  const waitForWorkerMs = validateWait(request.waitForWorkerMs, deps.config);
  await untilInitialized(deps.pool);
  return await unlessStopping(deps, true, () => openOrFind(deps, owner, asked, waitForWorkerMs));
}

async function openOrFind(
  deps: InSessionDeps,
  owner: SessionOwner,
  asked: AskedOptions,
  waitForWorkerMs: number,
): Promise<Session> {
  return await decideAgain(async (isAgain) => {
    if (isAgain) await deps.sessions.refresh(owner.tenant, owner.userUuid);
    return await inSession(deps, owner, {
      open: (session) => find(deps, session, asked),
      fresh: (opening) => commitOpening(deps, opening, asked.variables),
      adds: ['OPEN_SESSIONS'],
      waitForWorkerMs,
      options: asked.options,
    });
  });
}

/** The open session, if its options are those asked for. The call counts as a use. */
async function find(
  { database: { queries }, now }: InSessionDeps,
  { id }: Session,
  asked: AskedOptions,
): Promise<Session> {
  const isOpen = await queries.touchSession(id, now());
  const session = isOpen ? await queries.session(id) : null;
  // The session that this gateway knew has ended.
  if (!session || session.closedAt !== null) throw new ConcurrencyError('session');
  const different = differences(session, asked.options);
  different.push(...(await differentVariables(queries, session, asked)));
  if (different.length === 0) return session;
  throw new DomainError(
    'SESSION_OPTIONS_DIFFER',
    `This user's open session has other options: ${different.join(', ')}. Ask for the same options, or release the session first.`,
    { sessionId: id, options: different },
  );
}

/** The variables that both the session and the request have, with different values. */
async function differentVariables(
  queries: InSessionDeps['database']['queries'],
  { id, environmentVariableNames }: Session,
  { variables }: AskedOptions,
): Promise<string[]> {
  const both = environmentVariableNames.filter((name) => Object.hasOwn(variables, name));
  if (both.length === 0) return [];
  const stored = await queries.sessionVariables(id);
  if (stored === null) throw new ConcurrencyError('session');
  return both
    .filter((name) => stored[name] !== variables[name])
    .map((name) => `environmentVariables.${name}`);
}
