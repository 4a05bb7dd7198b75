/** `cellhouse prune`: deletes old history, into an archive if wanted. */
import { open } from 'node:fs/promises';
import { pino } from 'pino';
import { loadConfig } from '../config/config.ts';
import { quoted } from '../domain/text.ts';
import { pruneHistory } from '../events/retention/pruneHistory.ts';
import { databaseAddress } from '../gateway.ts';
import { newId } from '../process/newId.ts';
import { parseOptions } from './commandLine.ts';

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

/** Only the owner may read the archive, because it contains users' code and output. */
const MODE = 0o600;

export interface ArchiveFile {
  /** Appends lines and resolves when they are on the disk. */
  append(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file for appending, and creates it if it is missing. @throws Error if it cannot be written */
export async function openArchive(path: string): Promise<ArchiveFile> {
  const file = await open(path, 'a', MODE);
  return {
    append: async (lines) => {
      await file.appendFile(lines.map((line) => `${line}\n`).join(''));
      await file.datasync();
    },
    close: () => file.close(),
  };
}

const MS_PER_DAY = 86_400_000;

/**
 * `cellhouse prune`: deletes the output and events of everything that ended long ago.
 * @param words the arguments after `prune`
 */
export async function prune(words: readonly string[]): Promise<void> {
  const { days, archivePath } = pruneArguments(words);
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const before = new Date(Date.now() - days * MS_PER_DAY);
  const archive = archivePath === null ? null : await openArchive(archivePath);
  try {
    const pruned = await pruneHistory(address, { before, archive: archive?.append ?? null, newId });
    console.log(
      `Pruned everything that ended before ${before.toISOString()}: ${JSON.stringify(pruned)}`,
    );
  } finally {
    await archive?.close();
  }
}
