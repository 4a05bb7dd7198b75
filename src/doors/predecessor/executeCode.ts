/** `POST /execute`: runs code of a user, and answers with what came of it. */
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import type { Output } from '../../domain/output.ts';
import type { BoundService } from '../../service/service.ts';
import type { DoorCall, DoorSettings } from '../openDoor.ts';
import { contextOf } from '../shared/target.ts';
import { detail, NO_CONNECTION, type Reply, readFields, targetOfUser } from './readFields.ts';

/** Callers gave up after 30 s. Of these, the code may take 10 s. */
const MAX_WAIT_FOR_WORKER_MS = 15_000;
const ADVICE = { inParts: 'GraphQL for `execution(id) { outputs(after, first) }`' };

const REQUEST = z.object({ user_uuid: z.string(), code: z.string() });

/** @throws DomainError */
export async function executeCode(
  call: DoorCall,
  { workerWaitTimeoutMs }: Pick<DoorSettings, 'workerWaitTimeoutMs'>,
): Promise<Reply> {
  const request = await readFields(call, REQUEST);
  const { service } = call;
  const place = targetOfUser(call.principal, request.user_uuid);
  const contextId = await contextOf(service, place);
  // Empty code was run, too. The service runs none.
  const code = request.code || '\n';
  const waitForWorkerMs = Math.min(MAX_WAIT_FOR_WORKER_MS, workerWaitTimeoutMs);
  const { userUuid } = place;
  const execution = await service.execute({ userUuid, contextId, code, waitForWorkerMs });
  if (execution.status === 'TIMEOUT') return await timedOut(service, execution);
  const items = await service.answer(ADVICE).outputs(execution, {});
  return replyTo(
    execution,
    items.map(({ output }) => output as Output),
  );
}

/** The predecessor lost all variables then, and its callers are told so. */
async function timedOut(
  service: Pick<BoundService, 'restartKernel'>,
  { timeoutMs, stateLost, userUuid, contextId }: Execution,
): Promise<Reply> {
  if (!stateLost) {
    try {
      await service.restartKernel(userUuid, contextId);
    } catch (error: unknown) {
      // The session or the context has ended meanwhile, or the restart is recorded and comes a little later.
      const code = error instanceof DomainError ? error.code : null;
      if (code !== 'NOT_FOUND' && code !== 'POOL_INITIALIZING') throw error;
    }
  }
  const seconds = timeoutMs / 1_000;
  const shown = Number.isInteger(seconds) ? seconds.toFixed(1) : String(seconds);
  return detail(
    400,
    `Code execution timed out after ${shown} seconds. Environment has been reset.`,
  );
}

function replyTo({ status, errorName, errorValue }: Execution, outputs: readonly Output[]): Reply {
  switch (status) {
    case 'OK': {
      const image = imageIn(outputs);
      const text = image === null ? textIn(outputs) : null;
      return { status: 200, body: { result_text: text, result_base64: image } };
    }
    case 'ERROR':
    case 'INTERRUPTED': {
      const error = outputs.find((output) => output.kind === 'error') ?? {
        name: errorName ?? 'Error',
        value: errorValue ?? '',
      };
      return detail(400, `Python Execution Error: ${error.name}: ${error.value}`);
    }
    default:
      return detail(504, NO_CONNECTION);
  }
}

/** The text of both streams and the results, in their order. */
function textIn(outputs: readonly Output[]): string {
  let text = '';
  for (const output of outputs) {
    if (output.kind === 'stream') text += output.text;
    if (output.kind === 'result') text += plainText(output.data['text/plain']);
  }
  return text;
}

/** Jupyter's text values may be a list of lines. */
function plainText(value: unknown): string {
  return Array.isArray(value) ? value.join('') : typeof value === 'string' ? value : '';
}

/** The last PNG that was displayed. One that is a result does not count. */
function imageIn(outputs: readonly Output[]): string | null {
  const image = outputs.findLast(
    (output) => output.kind === 'display' && typeof output.data['image/png'] === 'string',
  );
  return image?.kind === 'display' ? String(image.data['image/png']).replace(/\s+/g, '') : null;
}
