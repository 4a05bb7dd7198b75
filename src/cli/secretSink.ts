import { open, rm } from 'node:fs/promises';

/** Only the owner may read a secret. */
const MODE = 0o600;

/**
 * The destination of the secrets of tokens. It is opened before a token is made or changed, so that no secret is lost.
 */
export interface SecretSink {
  /**
   * Writes the secret to the file, and flushes it to the disk. A terminal shows nothing yet.
   * @throws Error if it cannot be written
   */
  write(secret: string): Promise<void>;
  /** Must be called when the token is made and the secret is written. A terminal shows the secret. */
  close(): Promise<void>;
  /** Must be called if no token with the secret is left. Removes the file. May follow a failed `write` or `close`. */
  cancel(): Promise<void>;
}

export type OpenSecretSink = (path: string | null) => Promise<SecretSink>;

/**
 * Opens the terminal, or a new file that only its owner can read. A pipe or a log is refused, because it would keep the
 * secret unnoticed.
 * @param path null: the terminal
 * @throws Error if standard output is no terminal, or if the file exists or cannot be written
 */
export async function openSecretSink(
  path: string | null,
  stdout: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stdout,
): Promise<SecretSink> {
  if (path === null) {
    if (!stdout.isTTY) {
      throw new Error(
        'The secret is shown on a terminal only, and standard output is none. Give --output FILE: a new file that only you can read.',
      );
    }
    let shown = '';
    return {
      write: async (secret) => {
        shown = `${secret}\n`;
      },
      close: async () => void stdout.write(shown),
      cancel: async () => {},
    };
  }
  const file = await open(path, 'wx', MODE);
  return {
    write: async (secret) => {
      await file.writeFile(`${secret}\n`);
      await file.sync();
    },
    close: () => file.close(),
    cancel: async () => {
      try {
        await file.close();
      } finally {
        await rm(path, { force: true });
      }
    },
  };
}
