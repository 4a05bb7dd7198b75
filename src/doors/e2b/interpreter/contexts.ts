/** The contexts of E2B's code interpreter. */
import { z } from 'zod';
import { DomainError, type ErrorCode } from '../../../domain/errors.ts';
import { WORKER_HOME } from '../../../domain/worker.ts';
import type { ContextView } from '../../../service/contexts/contexts.ts';
import type { DoorDeps } from '../../openDoor.ts';
import { readJson } from '../../shared/body.ts';
import type { SandboxCall } from '../sandbox.ts';
import { NO_OBJECT, noContext, RefusedError, TEXT } from './answer.ts';

export type Language = 'python' | 'bash';

/** The language that a client means. Null: Python. @throws RefusedError with 400 for one that is not served */
export function requireLanguage(given: string | null): Language {
  const name = (given ?? '').trim().toLowerCase();
  if (name === '' || name === 'python') return 'python';
  if (name === 'bash') return 'bash';
  throw new RefusedError(
    400,
    `Language ${JSON.stringify(given)} is not supported. Supported are python and bash.`,
  );
}

/**
 * The cell that runs this code. A kernel is Python's, and hands a cell of bash to a shell of its own. What is blank, a
 * shell does nothing with, nor does Python.
 */
export function cellOf(language: Language, code: string): string {
  return language === 'python' || code.trim() === '' ? code : `%%bash\n${code}`;
}

// The name of a context says what a client of E2B needs to know of it: the language of its cells, and its folder as the
// client gave it. Any gateway reads it there. Contexts with other names are Python's.

/** The context that bash has without a client making one. */
export const DEFAULT_BASH_NAME = 'e2b:bash';
const NAME = /^e2b:(?<language>python|bash)(?::[^:]*:(?<cwd>.*))?$/s;
/** The name of a context is no longer than this (`validateContext`). */
const MAX_NAME_CHARS = 128;

/** A context as clients see it. */
interface ShownContext {
  readonly id: string;
  readonly language: Language;
  readonly cwd: string;
}

/**
 * @param mark makes the name unique
 * @param cwd as the client gave it. Null: the context's own folder is shown
 * @returns null if the name would be too long, or is none
 */
export function contextName(language: Language, mark: string, cwd: string | null): string | null {
  const name = `e2b:${language}:${mark}:${cwd ?? ''}`;
  const isName = name.isWellFormed() && !name.includes('\0');
  return isName && name.length <= MAX_NAME_CHARS ? name : null;
}

export function shownContext({
  id,
  name,
  workingDirectory,
}: Pick<ContextView, 'id' | 'name' | 'workingDirectory'>): ShownContext {
  const { language = 'python', cwd = '' } = NAME.exec(name ?? '')?.groups ?? {};
  return { id, language: language as Language, cwd: cwd === '' ? workingDirectory : cwd };
}

/** What clients may call the default context of Python, beside its id. */
const DEFAULT = 'default';

/** A context in which code can be run. */
export interface FoundContext {
  /** Null: the default one. */
  readonly id: string | null;
  readonly language: Language;
}

/** The default context is always there, and Python's. */
export const DEFAULT_CONTEXT: FoundContext = { id: null, language: 'python' };

/** The open contexts of the sandbox: the default one first, then in the order in which they were made. */
export async function openContexts({ call, userUuid }: SandboxCall): Promise<ShownContext[]> {
  const all = await call.service.contexts(userUuid);
  return all.filter(({ status }) => status !== 'ENDING').map(shownContext);
}

/** @throws RefusedError with 404 */
export async function findContext(sandbox: SandboxCall, id: string): Promise<FoundContext> {
  if (id === DEFAULT || id === sandbox.session.id) return DEFAULT_CONTEXT;
  const found = (await openContexts(sandbox)).find((each) => each.id === id);
  if (found === undefined) throw noContext(id);
  return found;
}

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

/** Replaces the kernel of a context, which keeps its id and its folder. @throws RefusedError with 404 */
export async function restartContext(sandbox: SandboxCall, given: string): Promise<void> {
  const { id } = await findContext(sandbox, given);
  await sandbox.call.service.restartKernel(sandbox.userUuid, id);
}

/**
 * Deletes a context, with what runs in it. The default one lives as long as the sandbox, so its kernel is replaced:
 * whatever is run in it later finds nothing of what was there. @throws RefusedError with 404
 */
export async function deleteContext(sandbox: SandboxCall, given: string): Promise<void> {
  const { call, userUuid } = sandbox;
  const { id } = await findContext(sandbox, given);
  if (id === null) return void (await call.service.restartKernel(userUuid, null));
  if (!(await call.service.deleteContext(userUuid, id))) throw noContext(given);
}
