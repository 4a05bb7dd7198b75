import { open } from 'node:fs/promises';

/** Only its owner may read it: it holds users' code and output. */
const MODE = 0o600;

export interface ArchiveFile {
  /** Appends lines and resolves when they are on the disk. */
  append(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file to append to, making it if it is not there. @throws Error when it cannot be written */
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
