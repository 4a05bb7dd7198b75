/** The files of a user's session, reached from any gateway. */
import { DomainError } from '../../domain/errors.ts';
import type { FilePath } from '../../domain/filePath.ts';
import type { Session } from '../../domain/session.ts';
import { FileRefusedError, type WorkerFiles } from '../../domain/workerFiles.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { isDirectory, refusedError, UploadAbortedError, unreachable } from './fileErrors.ts';

export type SessionFilesDeps = Pick<ServiceDeps, 'database' | 'pool' | 'sessionUses'>;

/** The user's open session, which counts as used now. Null if there is none. */
export async function useOpenSession(
  { database, sessionUses }: Pick<ServiceDeps, 'database' | 'sessionUses'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session | null> {
  const session = await database.queries.openSession(tenant, userUuid);
  return session && (await sessionUses.use(session)) ? session : null;
}

/** The user's open session. @throws NOT_FOUND */
export async function requireSession(
  deps: Pick<ServiceDeps, 'database' | 'sessionUses'>,
  principal: Principal,
  userUuid: string,
): Promise<Session> {
  const session = await useOpenSession(deps, principal, userUuid);
  if (!session) throw noSession(userUuid);
  return session;
}

function noSession(userUuid: string): DomainError {
  return notFound('open session of user', userUuid);
}

/**
 * Asks the session's worker about the file at `path`. An operation under way keeps the session from ending as idle.
 * @throws NOT_FOUND if the session has ended; the errors of `fileErrors.ts`; an abort, and UploadAbortedError
 */
export async function askWorker<T>(
  deps: SessionFilesDeps,
  session: Session,
  path: FilePath,
  ask: (files: WorkerFiles) => Promise<T>,
): Promise<T> {
  let files: WorkerFiles | null = null;
  const letGo = deps.sessionUses.hold(session);
  try {
    files = await deps.pool.filesOf(session);
    if (!files) throw new Error('The worker is gone.');
    return await ask(files);
  } catch (error: unknown) {
    throw await toCaller(deps, session, path, files, error);
  } finally {
    letGo();
  }
}

async function toCaller(
  deps: SessionFilesDeps,
  session: Session,
  path: FilePath,
  files: WorkerFiles | null,
  error: unknown,
): Promise<unknown> {
  if (error instanceof DomainError || error instanceof UploadAbortedError) return error;
  if (error instanceof FileRefusedError) {
    if (error.code === 'not_a_file' && (await isFolder(files, path))) return isDirectory(path);
    return refusedError(error, path);
  }
  if (error instanceof Error && error.name === 'AbortError') return error;
  const now = await deps.database.queries.session(session.id);
  return now?.closedAt === null ? unreachable(error, files !== null) : noSession(session.userUuid);
}

async function isFolder(files: WorkerFiles | null, path: FilePath): Promise<boolean> {
  const entry = await files?.stat(path.bytes, { follow: true }).catch(() => null);
  return entry?.kind === 'directory';
}
