import { spawn } from 'node:child_process';
import { SetupError } from './setupError.mjs';

/** Enough lines to see what went wrong, and few enough to read. */
const REPORTED_LINES = 30;
/** Only the end of each output is kept. */
const MAX_KEPT_CHARS = 1_000_000;

/**
 * Runs a command to its end and resolves with its stdout, or with stdout and stderr together if `both` is set.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, advice?: string, both?: boolean }} [options] `advice` is added to
 * the error
 * @throws SetupError with the last lines of its output and the advice
 */
export function runCommand(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout = (stdout + text).slice(-MAX_KEPT_CHARS);
      all = (all + text).slice(-MAX_KEPT_CHARS);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      all = (all + text).slice(-MAX_KEPT_CHARS);
    });
    const fail = (how, cause) =>
      reject(
        new SetupError(
          [`${command} ${args.join(' ')}: ${how}`, lastLines(all), options.advice ?? '']
            .filter(Boolean)
            .join('\n'),
          { cause },
        ),
      );
    child.on('error', (e) => fail(e.message, e));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(options.both ? all : stdout);
      else fail(`ended with ${code ?? signal}. The end of its output:`);
    });
  });
}

/** The last {@link REPORTED_LINES} lines of a text. */
export function lastLines(text) {
  return text.trimEnd().split('\n').slice(-REPORTED_LINES).join('\n');
}
