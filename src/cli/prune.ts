import { pino } from 'pino';
import { loadConfig } from '../config/config.ts';
import { pruneHistory } from '../events/retention/pruneHistory.ts';
import { databaseAddress } from '../gateway.ts';
import { newId } from '../process/newId.ts';
import { openArchive } from './archiveFile.ts';
import { pruneArguments } from './pruneArguments.ts';

const MS_PER_DAY = 86_400_000;

/**
 * `cellhouse prune`: deletes the output and events of executions, sessions and workers that ended long ago.
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
