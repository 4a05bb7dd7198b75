/** Why the set-up cannot go on, and what the user can do. The message is printed without a stack trace. */
export class SetupError extends Error {
  name = 'SetupError';
}

/**
 * Runs `main` and ends the process with exit code 1 if it fails.
 * @param {() => Promise<void>} main
 */
export async function runScript(main) {
  try {
    await main();
  } catch (e) {
    console.error(e instanceof SetupError ? `\n${e.message}` : e);
    process.exit(1);
  }
}
