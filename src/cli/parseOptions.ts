import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../domain/errors.ts';

/** `parseArgs`, strictly. @throws Error that says what is wrong, and where the commands are explained */
export function parseOptions<T extends Omit<ParseArgsConfig, 'args' | 'strict'>>(
  words: readonly string[],
  config: T,
) {
  try {
    return parseArgs({ ...config, args: [...words], strict: true });
  } catch (cause: unknown) {
    throw new Error(`${messageOf(cause)} See cellhouse --help.`, { cause });
  }
}
