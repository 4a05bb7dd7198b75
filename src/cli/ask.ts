import { createInterface } from 'node:readline';

/** Asks whoever runs the command. Resolves with the line that was typed; with '' if there is none any more. */
export type Ask = (question: string) => Promise<string>;

/** Null: input or output is no terminal, so nobody would see the question, or answer it. */
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
