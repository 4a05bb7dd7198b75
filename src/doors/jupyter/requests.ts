/** Carries out the requests of one connection. */

import { z } from 'zod';
import { DomainError, type ErrorCode } from '../../domain/errors.ts';
import type { KernelView } from '../../service/contexts/kernels.ts';
import type { ExecutionNews } from '../../service/output/followContext.ts';
import type { BoundService } from '../../service/service.ts';
import { checked, type Fields } from '../shared/body.ts';
import type { Outbox } from './cellMessages.ts';
import type { Kernels } from './kernels.ts';
import { cellOptions, type ErrorContent, kernelInfo, keyOf, reply, status } from './messages.ts';
import { QUESTIONS } from './questions.ts';
import { TEXT } from './rest.ts';
import type { Header, Request } from './wire.ts';

const BUSY: ReadonlySet<ErrorCode> = new Set([
  'QUEUE_FULL',
  'QUOTA_EXCEEDED',
  'POOL_EXHAUSTED',
  'POOL_INITIALIZING',
  'WORKER_START_FAILED',
  'DATABASE_UNAVAILABLE',
  'SHUTTING_DOWN',
]);

/**
 * The error that a client gets if its cell was refused. If the database did not answer or the gateway stops, the cell may
 * have been accepted all the same.
 * @throws `error`, unless it is a DomainError
 */
function refusedCell(error: unknown): ErrorContent & Record<string, unknown> {
  if (!(error instanceof DomainError)) throw error;
  const { code, message: evalue } = error;
  if (code === 'NOT_FOUND') return { ename: 'DeadKernelError', evalue, traceback: [] };
  return { ename: BUSY.has(code) ? 'CellhouseBusy' : 'CellhouseError', evalue, traceback: [] };
}

const CELL = z.object({ code: TEXT });
const INPUT = z.object({ value: TEXT });

export interface RequestsDeps {
  readonly service: BoundService;
  readonly kernels: Kernels;
  readonly kernel: KernelView;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly out: Outbox;
  /**
   * The header of each execute request is put here before the request is passed on. Keys are those of {@link keyOf}.
   */
  readonly asked: Map<string, Header>;
}

interface Requests {
  /** Resolves when the request is answered. For an execute request, resolves when the execution is accepted. */
  take(request: Request): Promise<void>;
  /** Must be called with each output, so that an input reply finds the execution that waits for it. */
  onOutput(news: Extract<ExecutionNews, { type: 'output' }>, isOurs: boolean): void;
}

/** The content of a reply. Null: there is no reply, only the two states busy and idle. */
type Answer = Fields | null;

export function createRequests(deps: RequestsDeps): Requests {
  const { service, kernels, kernel, newId, now, out, asked } = deps;
  const { context, userUuid } = kernel;
  /** The execution of this client that waits for input. */
  let waiting: string | null = null;

  async function answer(request: Request, content: Answer): Promise<void> {
    const { channel, header } = request;
    if (content === null) return;
    const type = header.msg_type.replace(/_request$/, '_reply');
    await send(header, reply(channel, type, content));
  }

  const send = (parent: Header, sent: Parameters<Outbox['send']>[0]['sent']) =>
    out.send({ sent, id: newId(), at: now(), parent });

  async function execute(request: Request): Promise<void> {
    const { content, header } = request;
    const key = keyOf(header, context.id);
    asked.set(key, header);
    try {
      await service.submit({
        userUuid,
        contextId: context.id,
        code: checked(content, CELL).code ?? '',
        ...cellOptions(content),
        isNotebookCell: true,
        idempotencyKey: key,
      });
    } catch (error: unknown) {
      asked.delete(key);
      const refusal = refusedCell(error);
      await send(header, status('busy'));
      await send(header, { channel: 'iopub', type: 'error', content: refusal });
      await answer(request, { status: 'error', execution_count: 0, ...refusal });
      await send(header, status('idle'));
    }
  }

  async function inputReply({ header, content }: Request): Promise<void> {
    const executionId = waiting;
    if (executionId === null) return;
    try {
      const text = `${checked(content, INPUT).value ?? ''}\n`;
      waiting = null;
      await service.sendInput({ executionId, text });
    } catch (error: unknown) {
      // The protocol has no reply to an input reply, so the error is shown as output.
      const { evalue } = refusedCell(error);
      const text = `[Cellhouse: ${evalue}]\n`;
      await send(header, { channel: 'iopub', type: 'stream', content: { name: 'stderr', text } });
    }
  }

  async function shutDown({ content }: Request): Promise<Answer> {
    const restart = content.restart === true;
    if (restart) await kernels.restart(context.id);
    else await kernels.end(context.id);
    return { status: 'ok', restart };
  }

  async function interrupt(): Promise<Answer> {
    await kernels.interrupt(context.id);
    return { status: 'ok' };
  }

  /** There are no comms. A comm that a client opens is closed at once, with the reason. */
  async function refuseComm({ header, content }: Request): Promise<Answer> {
    const comm_id = String(content.comm_id ?? '');
    const data = { message: 'Cellhouse has no comm messages. Widgets are shown as text.' };
    await send(header, { channel: 'iopub', type: 'comm_close', content: { comm_id, data } });
    return null;
  }

  /** A client can do nothing before it has this answer, so it gets one even while the worker is away for a moment. */
  async function tellKernel(): Promise<Answer> {
    try {
      return kernelInfo(await service.kernelInfo(userUuid));
    } catch (error: unknown) {
      if (!(error instanceof DomainError)) throw error;
      return kernelInfo(null);
    }
  }

  /** Asks the kernel itself. A request that is not known has no answer. */
  async function askKernel({ header, content }: Request): Promise<Answer> {
    const kind = QUESTIONS.get(header.msg_type);
    if (kind === undefined) return null;
    const question = kind.question(content);
    const kernelAnswer = await service.askKernel({ userUuid, contextId: context.id, question });
    return kind.reply(kernelAnswer, content);
  }

  // A map, because the client chooses the type: an object would also have `constructor` and the like.
  const handlers = new Map<string, (request: Request) => Promise<Answer> | Answer>([
    ['kernel_info_request', tellKernel],
    ['comm_info_request', () => ({ status: 'ok', comms: {} })],
    ['comm_open', refuseComm],
    ['interrupt_request', interrupt],
    ['shutdown_request', shutDown],
  ]);

  async function answerTo(request: Request): Promise<Answer> {
    try {
      const handler = handlers.get(request.header.msg_type) ?? askKernel;
      return await handler(request);
    } catch (error: unknown) {
      return { status: 'error', ...refusedCell(error) };
    }
  }

  return {
    take: async (request) => {
      const { header } = request;
      if (header.msg_type === 'execute_request') return await execute(request);
      if (header.msg_type === 'input_reply') return await inputReply(request);
      // An unknown request also gets the two states, so that no client waits forever.
      await send(header, status('busy'));
      await answer(request, await answerTo(request));
      await send(header, status('idle'));
    },
    onOutput: ({ execution, item }, isOurs) => {
      if (isOurs && item.output.kind === 'input') waiting = execution.id;
    },
  };
}
