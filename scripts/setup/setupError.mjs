/** What stops the set-up and what the reader can do about it: printed as it is, without a stack trace. */
export class SetupError extends Error {
  name = 'SetupError';
}

/**
 * Runs `main` and ends the process with 1 if it fails.
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
