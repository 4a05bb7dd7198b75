/** Files that are made from the code: `node dist/<room>/<printer>.js [--check]`. */
import { readFile, writeFile } from 'node:fs/promises';

/**
 * Writes the file. With `--check`, it compares the file instead, and the process ends with 1 if it differs.
 * @param command the command that makes the file, for the message
 */
export async function writeOrCheck(file: string, text: string, command: string): Promise<void> {
  if (!process.argv.includes('--check')) {
    await writeFile(file, text);
  } else if ((await readFile(file, 'utf8')) !== text) {
    console.error(`${file} is not what the code says. Run: ${command}`);
    process.exitCode = 1;
  }
}
