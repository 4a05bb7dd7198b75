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

/** The language that a client names. Null: Python. @throws RefusedError with 400 for any other language */
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
 * The cell that runs this code. All kernels are Python kernels, and `%%bash` passes a cell to a shell. Blank code does
 * nothing in either language, so it gets no `%%bash`.
 */
export function cellOf(language: Language, code: string): string {
  return language === 'python' || code.trim() === '' ? code : `%%bash\n${code}`;
}

// The name of a context contains what E2B's clients see of it: the language of its cells, and its folder as the client
// gave it. So every gateway knows both. Contexts with other names are for Python.

/** The context for bash code of a request that names no context. */
export const DEFAULT_BASH_NAME = 'e2b:bash';
const NAME = /^e2b:(?<language>python|bash)(?::[^:]*:(?<cwd>.*))?$/s;
/** The longest name of a context (`validateContext`). */
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
 * @returns null if the name would be too long, or would have invalid characters
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

/** Another name for the default context, besides its id. */
const DEFAULT = 'default';

/** A context in which code can be run. */
export interface FoundContext {
  /** Null: the default one. */
  readonly id: string | null;
  readonly language: Language;
}

/** The default context always exists, and is for Python. */
export const DEFAULT_CONTEXT: FoundContext = { id: null, language: 'python' };

/** The open contexts of the sandbox: the default one first, then the others in order of creation. */
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

/**
 * How many of an id's last digits are used. They are random, which is enough: names must be unique only within a
 * session, and a session has few contexts.
 */
const MARK_DIGITS = 12;

const NEW_CONTEXT = z.object({ language: TEXT, cwd: TEXT }, NO_OBJECT);

/** Errors that mean that code cannot start in the folder. */
const BAD_FOLDER: ReadonlySet<ErrorCode> = new Set([
  'FILE_NOT_FOUND',
  'FILE_ACCESS_DENIED',
  'NOT_A_DIRECTORY',
  'CONTEXT_FAILED',
]);

/**
 * Creates the context that a client asks for. Its folder is shown as the client gave it. If code cannot start in that
 * folder, it starts in the home.
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
    // The name cannot contain the folder, so the folder could not be shown later.
    if (name === null) throw new RefusedError(400, `cwd is no folder: ${error.message}`);
    return await service.createContext({ userUuid, name });
  }
}

/** Replaces a tilde by the home, as a shell and IPython do. */
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
 * Deletes a context, with what runs in it. The default context lives as long as the sandbox, so its kernel is replaced
 * instead, which loses its variables. @throws RefusedError with 404
 */
export async function deleteContext(sandbox: SandboxCall, given: string): Promise<void> {
  const { call, userUuid } = sandbox;
  const { id } = await findContext(sandbox, given);
  if (id === null) return void (await call.service.restartKernel(userUuid, null));
  if (!(await call.service.deleteContext(userUuid, id))) throw noContext(given);
}
