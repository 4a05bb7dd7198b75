/** Checks environment variables, of a session or of one execution, and the folder that code begins in. */
import type { Config } from '../config/config.ts';
import { WORKER_HOME } from '../domain/worker.ts';
import { validatePath } from './files/filePaths.ts';
import { refuse, validateName } from './validate.ts';

/** A name that every shell accepts. */
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

/** Values by name. */
export type Variables = Readonly<Record<string, string>>;

export type VariableLimits = Pick<
  Config,
  'maxEnvironmentVariables' | 'maxEnvironmentNameBytes' | 'maxEnvironmentBytes'
>;

/** @throws BAD_USER_INPUT, with the field `environmentVariables`, and never with a value */
export function validateVariables(
  given: readonly EnvironmentVariable[],
  {
    maxEnvironmentVariables: maxCount,
    maxEnvironmentNameBytes,
    maxEnvironmentBytes,
  }: VariableLimits,
): Variables {
  const field = 'environmentVariables';
  if (given.length > maxCount) {
    refuse(field, `has ${given.length} items, at most ${maxCount} are allowed`, {
      limit: maxCount,
    });
  }
  const variables = new Map<string, string>();
  let bytes = 0;
  for (const { name, value } of given) {
    validateName(field, name, maxEnvironmentNameBytes);
    if (!VARIABLE_NAME.test(name)) {
      refuse(field, 'must have names of letters, digits and _ that do not begin with a digit', {});
    }
    if (variables.has(name)) refuse(field, `has ${name} twice`, {});
    validateName(field, value, maxEnvironmentBytes);
    bytes += name.length + Buffer.byteLength(value);
    variables.set(name, value);
  }
  if (bytes > maxEnvironmentBytes) {
    refuse(field, `is ${bytes} bytes of UTF-8, at most ${maxEnvironmentBytes} are allowed`, {
      limit: maxEnvironmentBytes,
    });
  }
  return Object.fromEntries(variables);
}

/** The absolute path of a folder, which need not exist. @throws BAD_USER_INPUT, with the field `workingDirectory` */
export function validateDirectory(given: string): string {
  const field = 'workingDirectory';
  if (given === '') refuse(field, 'must not be empty; leave it out instead', {});
  const { text } = validatePath(given, field);
  if (text === '.') return WORKER_HOME;
  return text.startsWith('/') ? text : `${WORKER_HOME}/${text}`;
}
