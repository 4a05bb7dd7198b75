import { spawn } from 'node:child_process';

/** Enough to see what went wrong, little enough to read. */
const REPORTED_LINES = 20;
/** initdb takes seconds; minutes mean that it hangs. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Runs one of PostgreSQL's own tools to its end, with `input` on its stdin.
 * @throws Error with the last lines of its output when it fails
 */
export function runTool(argv: readonly string[], input = ''): Promise<void> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    // The folder we were started in may be closed to the user the tool runs as.
    const child = spawn(command, args, { cwd: '/', timeout: TOOL_TIMEOUT_MS });
    let output = '';
    const collect = (chunk: string) => {
      output = lastLines(output + chunk);
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    child.on('error', (e) =>
      reject(new Error(`Cannot run ${command}: ${e.message}`, { cause: e })),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new Error(`${argv.join(' ')} ended with ${code ?? signal}:\n${output.trimEnd()}`));
    });
    // It may end without having read everything; its exit code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The end of `text`. */
export function lastLines(text: string): string {
  return text.split('\n').slice(-REPORTED_LINES).join('\n');
}
