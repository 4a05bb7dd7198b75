/** The tools for running code. */
import { z } from 'zod';
import type { Execution } from '../../../domain/execution.ts';
import { singleUser } from '../../../domain/users.ts';
import type { BoundService } from '../../../service/service.ts';
import { openContextOf } from '../../shared/target.ts';
import { RESULT } from '../result.ts';
import { poll, run } from '../run.ts';
import { type ClientSession, type McpCall, openedSessionOf, sessionOf } from '../session.ts';
import type { Allowed } from './allowed.ts';
import {
  answered,
  EXECUTION_ID,
  failed,
  SESSION_ID,
  type Tool,
  timeoutSeconds,
  tool,
  WAIT_SECONDS,
} from './tool.ts';

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

/** How many running and how many queued executions one call may stop. A session can hardly have more. */
const MAX_INTERRUPTED = 100;

/** Waits for code that a result left running. */
export const getExecution: Tool = tool({
  name: 'get_execution',
  title: 'Wait for running code',
  description:
    'Waits for the end of code or of a command that a result left "running", and returns its output: from the beginning, or with after_seq only what follows. Call it again while the status is "running". It works for ended ones, too.',
  input: z.strictObject({
    execution_id: EXECUTION_ID,
    wait_seconds: WAIT_SECONDS.optional(),
    after_seq: z
      .number()
      .int()
      .min(0)
      .optional()
      .describe('next_seq of the last result, to get only newer output.'),
  }),
  output: RESULT,
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: (call, { execution_id, wait_seconds, after_seq = 0 }, notify) =>
    poll(call, { executionId: execution_id, waitSeconds: wait_seconds, after: after_seq }, notify),
});

/** Stops code as Ctrl-C does. */
export const interruptExecution: Tool = tool({
  name: 'interrupt_execution',
  title: 'Interrupt running code',
  description:
    'Stops running code or a command like Ctrl-C, or cancels it if it has not begun. Variables stay. Give execution_id, or session_id to stop all that runs there.',
  input: z.strictObject({
    execution_id: EXECUTION_ID.optional(),
    session_id: SESSION_ID.optional(),
  }),
  output: z.object({
    interrupted: z.boolean().describe('Whether anything was stopped. False: all had ended.'),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
  run: async (call, { execution_id, session_id }) => {
    const { service } = call;
    if ((execution_id === undefined) === (session_id === undefined))
      return failed('BAD_USER_INPUT: Give either execution_id or session_id.');
    if (execution_id !== undefined)
      return answered({ interrupted: await wasStopped(service, execution_id) });
    const running = await unfinished(call, openedSessionOf(call, session_id));
    const stopped = await Promise.all(running.map(({ id }) => wasStopped(service, id)));
    return answered({ interrupted: stopped.includes(true) });
  },
});

async function wasStopped(service: BoundService, id: string): Promise<boolean> {
  const { status } = await service.interrupt(id);
  return status === 'INTERRUPTED' || status === 'CANCELLED';
}

/**
 * The queued executions of a session, then its running ones. Queued ones come first, so that none of them begins when a
 * running one is stopped. With a token for one user, each context is a session of its own. Commands are in no context,
 * so they are stopped with the default one.
 */
async function unfinished(
  { service, principal }: Pick<McpCall, 'service' | 'principal'>,
  { place }: ClientSession,
): Promise<readonly Execution[]> {
  const contextId = await openContextOf(service, place);
  if (contextId === undefined) return [];
  const pages = await Promise.all(
    (['QUEUED', 'RUNNING'] as const).map((status) =>
      service.executions(
        { userUuid: place.userUuid, statuses: [status] },
        { first: MAX_INTERRUPTED },
      ),
    ),
  );
  const all = pages.flatMap(({ edges }) => edges.map(({ item }) => item));
  const isOwn = singleUser(principal.users) === null;
  return isOwn ? all : all.filter((one) => one.contextId === contextId);
}
