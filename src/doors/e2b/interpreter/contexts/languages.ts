import { RefusedError } from '../refused.ts';

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
