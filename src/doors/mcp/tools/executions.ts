/** The tools for running code. */
import { z } from 'zod';
import type { Execution } from '../../../domain/execution.ts';
import { singleUser } from '../../../domain/users.ts';
import type { BoundService } from '../../../service/service.ts';
import { openContextOf } from '../../shared/target.ts';
import type { McpCall } from '../mcpCall.ts';
import { RESULT } from '../result.ts';
import { poll } from '../run.ts';
import { type ClientSession, openedSessionOf } from '../session.ts';
import {
  answered,
  EXECUTION_ID,
  failed,
  SESSION_ID,
  type Tool,
  tool,
  WAIT_SECONDS,
} from './tool.ts';

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
