import { open } from 'node:fs/promises';

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
