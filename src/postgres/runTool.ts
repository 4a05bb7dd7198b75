import { spawn } from 'node:child_process';

/** Enough lines to see what went wrong, and few enough to read. */
const REPORTED_LINES = 20;
/** initdb takes seconds. If it takes minutes, it hangs. */
const TOOL_TIMEOUT_MS = 120_000;

/**
 * Runs one of PostgreSQL's tools to its end, with `input` on its stdin.
 * @throws Error with the last lines of its output if it fails
 */
export function runTool(argv: readonly string[], input = ''): Promise<void> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    // The tool's user may not be able to enter this process's working directory.
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
    // The tool may end without reading all its input. Its exit code tells whether it failed.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The last {@link REPORTED_LINES} lines of `text`. */
export function lastLines(text: string): string {
  return text.split('\n').slice(-REPORTED_LINES).join('\n');
}
