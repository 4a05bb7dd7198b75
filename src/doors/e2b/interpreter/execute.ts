/** `POST /execute`: runs code, and streams its events. */
import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';
import type { Execution } from '../../../domain/execution.ts';
import type { DoorDeps } from '../../openDoor.ts';
import { readJson, texts } from '../../shared/body.ts';
import type { SandboxCall } from '../sandbox.ts';
import { NO_OBJECT, NO_TEXT, RefusedError, TEXT } from './answer.ts';
import { createCellEvents } from './cellEvents.ts';
import {
  cellOf,
  DEFAULT_BASH_NAME,
  DEFAULT_CONTEXT,
  type FoundContext,
  findContext,
  openContexts,
  requireLanguage,
} from './contexts.ts';
import { openEventStream } from './eventStream.ts';

const REQUEST = z.object(
  {
    code: z.string(NO_TEXT),
    context_id: TEXT,
    language: TEXT,
    env_vars: texts('Input should be a dictionary of strings'),
  },
  NO_OBJECT,
);

/** The statuses of code that may have ended because its sandbox or context has. */
const CUT_OFF: ReadonlySet<Execution['status']> = new Set([
  'CANCELLED',
  'INTERRUPTED',
  'WORKER_LOST',
]);

/**
 * Runs the code of a request. If the client goes away first, the code is interrupted. If the connection breaks for any
 * other reason, the code goes on. If the sandbox ends meanwhile, the connection is cut, because a normal end would look
 * like success.
 * @throws RefusedError, DomainError before the code is accepted
 */
export async function execute(sandbox: SandboxCall, deps: DoorDeps): Promise<void> {
  const { call, userUuid } = sandbox;
  const { res, gone, service } = call;
  const request = await readJson(call, REQUEST);
  const context = await contextFor(sandbox, request);
  // Creating a context takes a while. If the client has gone away meanwhile, the code must not begin.
  if (res.closed) return;
  const closed = new AbortController();
  res.once('close', () => closed.abort());
  const { execution, news } = await service.executeFollowed(
    {
      userUuid,
      contextId: context.id,
      code: cellOf(context.language, request.code),
      environmentVariables: Object.entries(request.env_vars ?? {}).map(([name, value]) => ({
        name,
        value,
      })),
      isNotebookCell: true,
    },
    closed.signal,
  );
  const interrupt = () => void interruptFor(sandbox, execution, deps);
  gone.addEventListener('abort', interrupt, { once: true });
  if (gone.aborted) return interrupt();
  if (res.closed) return closed.abort();
  sandbox.onStream();
  const stream = openEventStream(res);
  const cell = createCellEvents(context.language);
  try {
    for await (const each of news) {
      if (each.type === 'begun') await stream.send(cell.begun(each.execution));
      else if (each.type === 'output') await stream.send(cell.output(each.item));
      else if (await hasEnded(sandbox, each.execution)) return void res.destroy();
      else stream.end(cell.ended(each.execution, await isOpen(sandbox, context, each.execution)));
    }
  } finally {
    // From here on, this gateway closes the connection, which must not interrupt the code.
    gone.removeEventListener('abort', interrupt);
    closed.abort();
  }
}

/** @throws RefusedError */
async function contextFor(
  sandbox: SandboxCall,
  { context_id: contextId, language: given }: z.output<typeof REQUEST>,
): Promise<FoundContext> {
  if (contextId !== null && given !== null)
    throw new RefusedError(400, 'Only one of context_id or language can be provided');
  if (contextId !== null) return await findContext(sandbox, contextId);
  const language = requireLanguage(given);
  if (language === 'python') return DEFAULT_CONTEXT;
  const { call, userUuid } = sandbox;
  const { id } = await call.service.createContext({ userUuid, name: DEFAULT_BASH_NAME });
  return { id, language };
}

/** Whether the execution has ended because its sandbox has. */
async function hasEnded(sandbox: SandboxCall, { status }: Execution): Promise<boolean> {
  return CUT_OFF.has(status) && (await sandbox.hasEnded());
}

/** Whether the execution's context is still open. */
async function isOpen(sandbox: SandboxCall, { id }: FoundContext, { status }: Execution) {
  if (id === null || !CUT_OFF.has(status)) return true;
  return (await openContexts(sandbox)).some((each) => each.id === id);
}

/**
 * Interrupts the code, unless the sandbox has ended: that also closes the connection, and leaves nothing to interrupt.
 */
async function interruptFor(sandbox: SandboxCall, { id }: Execution, { logger }: DoorDeps) {
  try {
    if (!(await sandbox.hasEnded())) await sandbox.call.service.interrupt(id);
  } catch (err: unknown) {
    // The client has gone, so the error can only be logged.
    const level = err instanceof DomainError ? 'debug' : 'error';
    logger[level]({ err, executionId: id }, 'Code whose client has gone goes on.');
  }
}
