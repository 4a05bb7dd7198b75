import { createInterface } from 'node:readline';

/** Asks the person at the terminal. Resolves with the line that was typed, or with '' if the input has ended. */
export type Ask = (question: string) => Promise<string>;

/** Null: input or output is not a terminal, so nobody could see or answer the question. */
export function askAtTerminal(
  input: NodeJS.ReadableStream & { readonly isTTY?: boolean } = process.stdin,
  output: NodeJS.WritableStream & { readonly isTTY?: boolean } = process.stdout,
): Ask | null {
  if (!input.isTTY || !output.isTTY) return null;
  return (question) =>
    new Promise((resolve) => {
      const lines = createInterface({ input, output });
      lines.question(question, (answer) => {
        resolve(answer);
        lines.close();
      });
      // Ctrl-C and Ctrl-D.
      lines.once('close', () => resolve(''));
    });
}
