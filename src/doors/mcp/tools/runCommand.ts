import { z } from 'zod';
import { RESULT } from '../result.ts';
import { run } from '../run.ts';
import { sessionOf } from '../session.ts';
import { RUNS_CODE, SESSION_ID, type Tool, timeoutSeconds, tool, WAIT_SECONDS } from './tool.ts';

const DEFAULT_TIMEOUT_SECONDS = 60;
/**
 * One hour, which is far longer than a host waits. get_execution returns what follows after the wait. The service
 * refuses more than MAX_COMMAND_TIMEOUT_MS.
 */
const MAX_TIMEOUT_SECONDS = 3_600;

/** Runs a shell command in the session's container. */
export const runCommand: Tool = tool({
  name: 'run_command',
  title: 'Run a shell command',
  description:
    'Runs a bash command in the container of the session, beside its Python kernel, and returns its output and exit code. Files are shared with Python and stay; the current folder and shell variables do not: each command is a new shell in /home/user. NETWORK There is no root, no apt and no compiler. A long command goes on as with execute_code.',
  input: z.strictObject({
    command: z.string().min(1).describe('For bash -c. Pipes, && and here-documents work.'),
    session_id: SESSION_ID.optional(),
    working_directory: z.string().min(1).optional().describe('Default /home/user.'),
    timeout_seconds: timeoutSeconds(MAX_TIMEOUT_SECONDS, DEFAULT_TIMEOUT_SECONDS),
    wait_seconds: WAIT_SECONDS.optional(),
  }),
  output: RESULT,
  annotations: RUNS_CODE,
  run: (call, { command, session_id, working_directory, timeout_seconds, wait_seconds }, notify) =>
    run(
      call,
      {
        code: command,
        language: 'BASH',
        session: sessionOf(call, session_id),
        workingDirectory: working_directory,
        timeoutMs: Math.round((timeout_seconds ?? DEFAULT_TIMEOUT_SECONDS) * 1_000),
        waitSeconds: wait_seconds,
      },
      notify,
    ),
});
