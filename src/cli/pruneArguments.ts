import { quoted } from '../domain/quoted.ts';
import { parseOptions } from './parseOptions.ts';

export interface PruneArguments {
  /** Only what ended at least this many days ago is deleted. */
  readonly days: number;
  /** The file that keeps what is deleted. Null: it is not kept. */
  readonly archivePath: string | null;
}

/** Parses the words after `cellhouse prune`. @throws Error that says what is wrong, with a correct example */
export function pruneArguments(words: readonly string[]): PruneArguments {
  const options = { 'older-than-days': { type: 'string' }, archive: { type: 'string' } } as const;
  const { 'older-than-days': days, archive } = parseOptions(words, { options }).values;
  if (days === undefined || !/^[1-9]\d{0,4}$/.test(days)) {
    throw new Error(
      `--older-than-days must be a whole number from 1 to 99999${days === undefined ? '' : `, not ${quoted(days)}`}. Example: cellhouse prune --older-than-days 90 --archive old.ndjson`,
    );
  }
  if (archive === '') throw new Error('--archive needs the name of a file.');
  return { days: Number(days), archivePath: archive ?? null };
}
