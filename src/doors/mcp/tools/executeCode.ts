import { z } from 'zod';
import { RESULT } from '../result.ts';
import { run } from '../run.ts';
import { sessionOf } from '../session.ts';
import type { Allowed } from './allowed.ts';
import { SESSION_ID, type Tool, timeoutSeconds, tool, WAIT_SECONDS } from './tool.ts';

/** Runs Python in the session's kernel. */
export function executeCode({ network, runsCode, codeSeconds }: Allowed): Tool {
  return tool({
    name: 'execute_code',
    title: 'Run Python code',
    description: `Runs Python code in a Jupyter kernel and returns what it prints, its last expression's value, its exception, and its figures as images.

Variables, imports and files stay for the next call with the same session_id. Without session_id, a new session begins (unless your host chose one): take session_id from the result and pass it on.
${network}
numpy, pandas, matplotlib, scipy, sympy, scikit-learn, pillow and openpyxl are there.
Files: the working folder is /home/user, with 'write_file', 'read_file' and 'list_files'. It is deleted with the session, which ends when it is unused for long.
Code that runs longer than wait_seconds goes on: the result has status "running", and get_execution waits for the rest.`,
    input: z.strictObject({
      code: z.string().min(1).describe('Python. IPython syntax works: %magics, !commands, await.'),
      session_id: SESSION_ID.optional(),
      timeout_seconds: timeoutSeconds(codeSeconds),
      wait_seconds: WAIT_SECONDS.optional(),
    }),
    output: RESULT,
    annotations: runsCode,
    run: (call, { code, session_id, timeout_seconds, wait_seconds }, notify) =>
      run(
        call,
        {
          code,
          session: sessionOf(call, session_id),
          timeoutMs: Math.round((timeout_seconds ?? codeSeconds.byDefault) * 1_000),
          waitSeconds: wait_seconds,
        },
        notify,
      ),
  });
}
