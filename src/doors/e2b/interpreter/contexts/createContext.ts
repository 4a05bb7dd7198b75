import { z } from 'zod';
import { DomainError, type ErrorCode } from '../../../../domain/errors.ts';
import { WORKER_HOME } from '../../../../domain/worker.ts';
import type { ContextView } from '../../../../service/contexts/contexts.ts';
import type { DoorDeps } from '../../../openDoor.ts';
import { readJson } from '../../../shared/body.ts';
import type { SandboxCall } from '../../surface.ts';
import { NO_OBJECT, TEXT } from '../body.ts';
import { RefusedError } from '../refused.ts';
import { contextName, type ShownContext, shownContext } from './contextNames.ts';
import { type Language, requireLanguage } from './languages.ts';

/** Of the digits of an id, those that are random. Names are unique within a session, which has few contexts. */
const MARK_DIGITS = 12;

const NEW_CONTEXT = z.object({ language: TEXT, cwd: TEXT }, NO_OBJECT);

/** What can be wrong with a folder. */
const BAD_FOLDER: ReadonlySet<ErrorCode> = new Set([
  'FILE_NOT_FOUND',
  'FILE_ACCESS_DENIED',
  'NOT_A_DIRECTORY',
  'CONTEXT_FAILED',
]);

/**
 * Makes the context that a client asks for. Its folder is shown as the client gave it, and if code cannot begin there,
 * it begins in the home.
 */
export async function createContext(
  sandbox: SandboxCall,
  { newId }: Pick<DoorDeps, 'newId'>,
): Promise<ShownContext> {
  const { language: given, cwd } = await readJson(sandbox.call, NEW_CONTEXT);
  const language = requireLanguage(given);
  const mark = newId().slice(-MARK_DIGITS);
  return shownContext(await contextIn(sandbox, { language, mark, cwd }));
}

interface Asked {
  readonly language: Language;
  readonly mark: string;
  readonly cwd: string | null;
}

async function contextIn(
  { call: { service }, userUuid }: SandboxCall,
  { language, mark, cwd }: Asked,
): Promise<ContextView> {
  const plain = contextName(language, mark, null);
  if (cwd === null) return await service.createContext({ userUuid, name: plain });
  const name = contextName(language, mark, cwd);
  try {
    const workingDirectory = expanded(cwd);
    return await service.createContext({ userUuid, name: name ?? plain, workingDirectory });
  } catch (error: unknown) {
    if (!isOfFolder(error)) throw error;
    // Nothing could tell later what the client gave.
    if (name === null) throw new RefusedError(400, `cwd is no folder: ${error.message}`);
    return await service.createContext({ userUuid, name });
  }
}

/** A shell and IPython mean the home by a tilde. */
function expanded(cwd: string): string {
  return cwd === '~' || cwd.startsWith('~/') ? `${WORKER_HOME}${cwd.slice(1)}` : cwd;
}

function isOfFolder(error: unknown): error is DomainError {
  if (!(error instanceof DomainError)) return false;
  return BAD_FOLDER.has(error.code) || error.details.field === 'workingDirectory';
}
