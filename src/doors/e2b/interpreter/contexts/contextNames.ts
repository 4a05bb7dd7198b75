/**
 * The name of a context says what a client of E2B needs to know of it: the language of its cells, and its folder as the
 * client gave it. Any gateway reads it there. Contexts with other names are Python's.
 */
import type { ContextView } from '../../../../service/contexts/contexts.ts';
import type { Language } from './languages.ts';

/** The context that bash has without a client making one. */
export const DEFAULT_BASH_NAME = 'e2b:bash';
const NAME = /^e2b:(?<language>python|bash)(?::[^:]*:(?<cwd>.*))?$/s;
/** The name of a context is no longer than this (`validateContext`). */
const MAX_NAME_CHARS = 128;

/** A context as clients see it. */
export interface ShownContext {
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
