import { WORKER_HOME } from '../../domain/worker.ts';
import { validatePath } from '../files/filePaths.ts';
import { refuse, validateName } from '../validate.ts';

/** As long as a user's name. */
const MAX_NAME_CHARS = 128;

/** A caller's request for a context. */
export interface ContextRequest {
  readonly userUuid: string;
  readonly name?: string | null | undefined;
  /** Relative to the home, or absolute. */
  readonly workingDirectory?: string | null | undefined;
}

/** What a context shall be. */
export interface AskedContext {
  readonly name: string | null;
  /** Absolute. Null: the home. */
  readonly workingDirectory: string | null;
}

/** @throws BAD_USER_INPUT */
export function validateContext({ name, workingDirectory }: ContextRequest): AskedContext {
  return {
    name: name == null ? null : validateContextName(name),
    workingDirectory: workingDirectory == null ? null : validateDirectory(workingDirectory),
  };
}

function validateContextName(name: string): string {
  if (name === '') refuse('name', 'must not be empty; leave it out instead', {});
  validateName('name', name, MAX_NAME_CHARS);
  return name;
}

function validateDirectory(given: string): string | null {
  const field = 'workingDirectory';
  if (given === '') refuse(field, 'must not be empty; leave it out for the home', {});
  const { text } = validatePath(given, field);
  if (text === '.' || text === WORKER_HOME) return null;
  return text.startsWith('/') ? text : `${WORKER_HOME}/${text}`;
}
