import { WORKER_HOME } from '../../domain/worker.ts';
import { refuse, validateName } from '../validate.ts';
import { validateDirectory } from '../validateEnvironment.ts';

/** As long as a user's name. */
const MAX_NAME_CHARS = 128;

/** A caller's request for a context. */
export interface ContextRequest {
  readonly userUuid: string;
  readonly name?: string | null | undefined;
  /** Relative to the home, or absolute. */
  readonly workingDirectory?: string | null | undefined;
}

/** The properties that a new context is to have. */
export interface AskedContext {
  readonly name: string | null;
  /** Absolute. Null: the home. */
  readonly workingDirectory: string | null;
}

/** @throws BAD_USER_INPUT */
export function validateContext({ name, workingDirectory }: ContextRequest): AskedContext {
  return {
    name: name == null ? null : validateContextName(name),
    workingDirectory: workingDirectory == null ? null : validateContextDirectory(workingDirectory),
  };
}

function validateContextName(name: string): string {
  if (name === '') refuse('name', 'must not be empty; leave it out instead', {});
  validateName('name', name, MAX_NAME_CHARS);
  return name;
}

/** Null for the home, because a context begins there anyway. */
function validateContextDirectory(given: string): string | null {
  const directory = validateDirectory(given);
  return directory === WORKER_HOME ? null : directory;
}
