/**
 * Input for an execution, on any gateway. Input is recorded as an event. The gateway that holds the worker gets the
 * event and delivers the input (`src/worker/inputDelivery.ts`).
 */

import type { Config } from '../../config/config.ts';
import { DomainError } from '../../domain/errors.ts';
import { decideExecution, type Execution, recordedContent } from '../../domain/execution.ts';
import { isCommand, type Terminal } from '../../domain/executionOptions.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import type { Principal } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { workerAway } from '../sessions/opening.ts';
import { type CountUseDeps, countUse } from '../sessions/sessions.ts';
import { optionalContentOf, refuse, validateWholeNumber } from '../validate.ts';
import { requireExecution } from './execution.ts';
import { validateTerminal } from './validateRequest.ts';

/**
 * Whether these bytes are the recorded input at this offset. At least as many bytes must be recorded there. Secret
 * input of an execution that has ended is deleted, so any bytes count as the same.
 */
async function isSameInput(
  { inputIn }: Pick<Queries, 'inputIn'>,
  id: ExecutionId,
  offset: number,
  bytes: Buffer,
): Promise<boolean> {
  const end = offset + bytes.length;
  let [at, from] = [offset, 1];
  while (at < end) {
    const pieces = await inputIn(id, { start: at, end }, from);
    if (pieces.length === 0) return false;
    for (const piece of pieces) {
      const until = Math.min(end, piece.offset + piece.length);
      if (
        piece.bytes &&
        !isWithin(piece.bytes, at - piece.offset, bytes.subarray(at - offset, until - offset))
      )
        return false;
      at = until;
      from = piece.version;
      if (at >= end) break;
    }
  }
  return true;
}

function isWithin(whole: Buffer, start: number, part: Buffer): boolean {
  return whole.subarray(start, start + part.length).equals(part);
}

/** The most bytes in one call. A larger input is sent in several calls, so that each is a small event. */
const MAX_CALL_BYTES = 65_536;
/** How many calls for one execution may wait on a gateway. Each takes about a millisecond. */
export const MAX_INPUT_CALLS = 256;
/** The calls that wait here are answered within about this time. */
const RETRY_INPUT_AFTER_MS = 100;

export interface InputRequest {
  readonly executionId: string;
  /** The offset of the first byte. Null: the input is appended to the recorded input. */
  readonly offset?: number | null | undefined;
  readonly text?: string | null | undefined;
  readonly base64?: string | null | undefined;
  /** Whether the input ends after these bytes. */
  readonly close?: boolean | null | undefined;
  /** How many more bytes follow in further calls. Unless there is room for them, too, nothing is recorded. */
  readonly followingBytes?: number | undefined;
}

/** Where the input of a call was recorded. */
export interface SentInput {
  readonly offset: number;
  /** The offset of the next input. */
  readonly nextOffset: number;
  readonly execution: Execution;
}

interface Asked {
  readonly bytes: Buffer;
  readonly offset: number | null;
  readonly close: boolean;
  readonly followingBytes: number;
}

interface SendInputDeps extends CountUseDeps, Pick<ServiceDeps, 'database' | 'inputCalls' | 'now'> {
  readonly config: Pick<Config, 'maxInputBytes'>;
}

/**
 * Records input, and resolves when it is durable. It counts as a use of the session. Calls that reach the same gateway
 * are recorded in their order. With an offset, input is applied once, however often it is sent.
 * @throws BAD_USER_INPUT, NOT_FOUND; INPUT_CLOSED if the execution or its input has ended; INPUT_OUT_OF_ORDER unless
 * the offset is where the input ends, or the same bytes are there; INPUT_LIMIT; QUEUE_FULL
 */
export async function sendInput(
  deps: SendInputDeps,
  principal: Principal,
  request: InputRequest,
): Promise<SentInput> {
  const asked = validateInput(request, deps.config);
  const id = parseId<ExecutionId>(request.executionId);
  if (id === null) throw notFound('execution', request.executionId);
  // Calls for one execution run one at a time, so they do not conflict with each other. The owner of the execution is
  // not known yet. Each tenant has its own queue, so that it cannot fill the queue of another tenant's execution.
  const sent = deps.inputCalls.run(`${id} of ${principal.tenant}`, () =>
    decideAgain(() => appendInput(deps, principal, id, asked)),
  );
  if (sent) return await sent;
  throw new DomainError(
    'QUEUE_FULL',
    `More than ${MAX_INPUT_CALLS} calls with input for this execution wait here. Wait until some have been answered.`,
    { limit: MAX_INPUT_CALLS, retryAfterMs: RETRY_INPUT_AFTER_MS },
  );
}

/** @throws ConcurrencyError if another writer was first */
async function appendInput(
  deps: SendInputDeps,
  principal: Principal,
  id: ExecutionId,
  asked: Asked,
): Promise<SentInput> {
  const execution = await requireExecution(deps, principal, id);
  if (execution.options?.allowInput !== true)
    refuse('executionId', 'names an execution that was requested without allowInput', {});
  await countUse(deps, execution);
  const offset = asked.offset ?? execution.inputBytes;
  const rest = await notRecordedYet(deps.database, execution, { ...asked, offset });
  const isNew = rest.length > 0 || (asked.close && !execution.inputClosed);
  const after = isNew ? await record(deps, execution, { ...asked, bytes: rest }) : execution;
  return { offset, nextOffset: offset + asked.bytes.length, execution: after };
}

function validateInput(request: InputRequest, { maxInputBytes }: SendInputDeps['config']): Asked {
  const { offset = null, close } = request;
  const bytes = optionalContentOf(request);
  if (bytes.length === 0 && !close)
    refuse('text', 'or base64 must not be empty, unless close is true', {});
  if (bytes.length > MAX_CALL_BYTES) {
    const limit = MAX_CALL_BYTES;
    const field = request.text == null ? 'base64' : 'text';
    refuse(field, `is ${bytes.length} bytes, at most ${limit} are allowed in one call`, { limit });
  }
  if (offset !== null) validateWholeNumber('offset', offset, { min: 0, max: maxInputBytes });
  return { bytes, offset, close: close ?? false, followingBytes: request.followingBytes ?? 0 };
}

/** The bytes beyond those that are recorded. @throws INPUT_OUT_OF_ORDER */
async function notRecordedYet(
  { queries }: Database,
  { id, inputBytes }: Execution,
  { bytes, offset, close }: Asked & { readonly offset: number },
): Promise<Buffer> {
  const there = inputBytes - offset;
  if (there < 0) throw outOfOrder(inputBytes, 'Some input before this is missing');
  const repeated = bytes.subarray(0, there);
  if (!(await isSameInput(queries, id, offset, repeated)))
    throw outOfOrder(inputBytes, 'Other input has been recorded at this offset');
  if (close && there > bytes.length)
    throw outOfOrder(inputBytes, 'More input has been recorded, so the input cannot end here');
  return bytes.subarray(there);
}

function outOfOrder(expectedOffset: number, why: string): DomainError {
  return new DomainError(
    'INPUT_OUT_OF_ORDER',
    `${why}. Nothing was recorded. The next input has the offset ${expectedOffset}.`,
    { field: 'offset', expectedOffset },
  );
}

async function record(
  { database, config, now }: SendInputDeps,
  execution: Execution,
  { bytes, close, followingBytes }: Omit<Asked, 'offset'>,
): Promise<Execution> {
  const { id, inputBytes: offset } = execution;
  requireOpen(execution);
  requireRoom(offset + bytes.length + followingBytes, config);
  const isSecret = bytes.length > 0 && (await isPasswordAsked(database, execution));
  const content = isSecret ? {} : recordedContent(bytes);
  const at = now().toISOString();
  const piece = { offset, bytes: bytes.length, close, ...content };
  const events = decideExecution({ type: 'SendInput', at, ...piece }, execution);
  const { states } = await database.store.commit({
    streams: [{ stream: 'execution', id, state: execution, events }],
    ...(isSecret && { secretInput: { executionId: id, offset, bytes } }),
  });
  return states[0] as Execution;
}

/**
 * Whether the execution asks for a password. The caller read the request for input before answering it, so the request
 * is stored by now.
 */
async function isPasswordAsked({ queries }: Database, execution: Execution): Promise<boolean> {
  // A command records no requests for input, so nobody knows whether it asks for a password.
  return (
    !isCommand(execution) && (await queries.newestInputRequest(execution.id))?.password === true
  );
}

function requireOpen({ finishedAt, inputClosed }: Execution): void {
  if (finishedAt !== null)
    throw new DomainError('INPUT_CLOSED', 'The execution has ended. It takes no more input.');
  if (inputClosed)
    throw new DomainError(
      'INPUT_CLOSED',
      'The input of the execution was closed by an earlier call.',
    );
}

function requireRoom(inputBytes: number, { maxInputBytes: limit }: SendInputDeps['config']): void {
  if (inputBytes <= limit) return;
  throw new DomainError(
    'INPUT_LIMIT',
    `The execution would have ${inputBytes} bytes of input, and at most ${limit} are allowed (MAX_INPUT_BYTES). Nothing was recorded.`,
    { limit },
  );
}

/**
 * Gives the terminal of a command another size. Not recorded: the latest size wins. It counts as a use of the session.
 * Works on any gateway.
 * @returns whether the command runs, and so has the size now
 * @throws BAD_USER_INPUT, NOT_FOUND; POOL_INITIALIZING if the worker does not answer
 */
export async function resizeTerminal(
  deps: CountUseDeps & Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  executionId: string,
  size: Terminal,
): Promise<boolean> {
  const terminal = validateTerminal(size);
  const execution = await requireExecution(deps, principal, executionId);
  if (!execution.options?.pty) refuse('executionId', 'names an execution without a terminal', {});
  if (execution.finishedAt !== null) return false;
  await countUse(deps, execution);
  const worker = await deps.database.queries.worker(execution.workerId);
  const call = worker && (await deps.pool.agentOf(worker));
  if (!call) return false;
  try {
    return (await call('resize', { msgId: execution.id, ...terminal })).known;
  } catch (error: unknown) {
    throw workerAway(error);
  }
}
