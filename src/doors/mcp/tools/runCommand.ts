import { z } from 'zod';
import { RESULT } from '../result.ts';
import { run } from '../run.ts';
import { sessionOf } from '../session.ts';
import type { Allowed } from './allowed.ts';
import { SESSION_ID, type Tool, timeoutSeconds, tool, WAIT_SECONDS } from './tool.ts';

/** Runs a shell command in the session's container. */
export function runCommand({ network, runsCode, commandSeconds }: Allowed): Tool {
  return tool({
    name: 'run_command',
    title: 'Run a shell command',
    description: `Runs a bash command in the container of the session, beside its Python kernel, and returns its output and exit code. Files are shared with Python and stay; the current folder and shell variables do not: each command is a new shell in /home/user. ${network} There is no root and no apt, and usually no compiler. A long command goes on as with execute_code.`,
    input: z.strictObject({
      command: z.string().min(1).describe('For bash -c. Pipes, && and here-documents work.'),
      session_id: SESSION_ID.optional(),
      working_directory: z.string().min(1).optional().describe('Default /home/user.'),
      timeout_seconds: timeoutSeconds(commandSeconds),
      wait_seconds: WAIT_SECONDS.optional(),
    }),
    output: RESULT,
    annotations: runsCode,
    run: (
      call,
      { command, session_id, working_directory, timeout_seconds, wait_seconds },
      notify,
    ) =>
      run(
        call,
        {
          code: command,
          language: 'BASH',
          session: sessionOf(call, session_id),
          workingDirectory: working_directory,
          timeoutMs: Math.round((timeout_seconds ?? commandSeconds.byDefault) * 1_000),
          waitSeconds: wait_seconds,
        },
        notify,
      ),
  });
}
