/** The heads of the audit chain outside of the database: the file `audit-heads` in a gateway's DATA_DIR. */
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type AuditHead, parseAuditHead } from '../domain/auditHead.ts';
import { hasCode } from '../domain/errors.ts';

const MODE = 0o600;

export function auditHeadsPath(dataDir: string): string {
  return join(dataDir, 'audit-heads');
}

/** All heads in a file, in order. Other lines are skipped, so it may be a log. @throws Error if it cannot be read */
export async function readAuditHeads(path: string): Promise<AuditHead[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  return lines.flatMap((line) => parseAuditHead(line) ?? []);
}

/** A gateway's own file. A file that is missing has no heads. */
export function createAuditHeads(dataDir: string) {
  const path = auditHeadsPath(dataDir);
  return {
    read: async (): Promise<AuditHead[]> => {
      try {
        return await readAuditHeads(path);
      } catch (error: unknown) {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      }
    },

    /** Resolves when the heads are on the disk. */
    append: async (heads: readonly AuditHead[]): Promise<void> => {
      const file = await open(path, 'a', MODE);
      try {
        // The empty line ends a part of a line that a killed gateway may have left.
        const lines = heads.map((head) => JSON.stringify(head));
        await file.appendFile(`\n${lines.join('\n')}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      const folder = await open(dirname(path), 'r');
      await folder.sync().finally(() => folder.close());
    },
  };
}
