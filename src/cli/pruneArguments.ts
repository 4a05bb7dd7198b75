import { parseArgs } from 'node:util';
import { messageOf } from '../domain/errors.ts';
import { quoted } from '../domain/quoted.ts';

export interface PruneArguments {
  /** How long ago it must have ended. */
  readonly days: number;
  /** Where what is deleted is kept; null: nowhere. */
  readonly archivePath: string | null;
}

/** The words after `cellhouse prune`. @throws Error that says what was wrong and what would be right */
export function pruneArguments(words: readonly string[]): PruneArguments {
  const { 'older-than-days': days, archive } = parsed(words);
  if (days === undefined || !/^[1-9]\d{0,4}$/.test(days)) {
    throw new Error(
      `--older-than-days must be a whole number from 1 to 99999${days === undefined ? '' : `, not ${quoted(days)}`}. Example: cellhouse prune --older-than-days 90 --archive old.ndjson`,
    );
  }
  if (archive === '') throw new Error('--archive needs the name of a file.');
  return { days: Number(days), archivePath: archive ?? null };
}

function parsed(words: readonly string[]) {
  try {
    const options = { 'older-than-days': { type: 'string' }, archive: { type: 'string' } } as const;
    return parseArgs({ args: [...words], options, strict: true }).values;
  } catch (cause: unknown) {
    throw new Error(`${messageOf(cause)} See cellhouse --help.`, { cause });
  }
}
