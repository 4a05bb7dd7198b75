/** Live output: first the stored outputs after a cursor, then new ones, pulled page by page. */

import { onAbort } from '../../async/onAbort.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import type { OutputBounds, OutputCursor, OutputItem, OutputsRead } from '../../domain/output.ts';
import { type Session, userKey } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import type { WakeUps } from '../../events/wakeUps/wakeUps.ts';
import type { TokenEnd } from '../access/tokenEnd.ts';
import { validateOutputRange } from '../answer/renderedText.ts';
import { requireExecution } from '../execute/execution.ts';
import { type Principal, sees } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import type { OutputSource, SharedOutput } from './sharedOutput.ts';

/**
 * The outputs of an execution after `after` that are stored now, at most a page of them. A caller that reads page by
 * page holds no more than one page in memory, however much the execution has printed.
 * @param execution as another operation returned it
 * @throws NOT_FOUND, BAD_USER_INPUT
 */
export async function outputPage(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  execution: Pick<Execution, 'id' | 'tenant' | 'userUuid' | 'finishedAt'>,
  after: number,
): Promise<OutputsRead> {
  validateOutputRange({ after });
  if (!sees(principal, execution)) throw notFound('execution', execution.id);
  const read = () => database.queries.outputs({ executionId: execution.id, seq: after }, PAGE);
  const page = await read();
  // After each commit of this gateway, memory may say "nothing yet" one time (freshOutputs.ts), although another
  // gateway has stored the rest. The second call then reads the database.
  const isBehind = page.items.length === 0 && !page.isEnd && execution.finishedAt !== null;
  return isBehind ? await read() : page;
}

interface OutputReader {
  /** The end of the reader's token. */
  readonly tokenEnd: TokenEnd;
  /** Aborted when the reader goes. */
  readonly gone: AbortSignal;
}

/** All outputs of an execution, until the last one or until the reader goes. The finish is not among them. */
export async function* outputsUntil(
  deps: FollowDeps,
  executionId: ExecutionId,
  { tokenEnd, gone }: OutputReader,
): AsyncGenerator<OutputItem> {
  const items = followOutput(deps, executionId, 0, tokenEnd);
  const off = onAbort(gone, () => void items.return?.());
  try {
    for await (const item of items) if (item.output.kind !== 'finish') yield item;
  } finally {
    off();
  }
}

/** The limits of a page. A follower holds one page in memory. Its last item may exceed `maxBytes`. */
const PAGE: OutputBounds = { limit: 500, maxBytes: 1024 * 1024 };

interface FollowDeps {
  readonly database: Database;
  readonly sharedOutput: SharedOutput;
}

/** The live output of one execution, up to its finish. If `after` is at the finish or beyond it, there are no items. */
export function followOutput(
  { database: { queries, wakeUps }, sharedOutput }: FollowDeps,
  executionId: ExecutionId,
  after: number,
  tokenEnd: TokenEnd,
): AsyncIterableIterator<OutputItem> {
  const source: OutputSource = {
    key: executionKey(executionId),
    read: (cursor) => queries.outputs(cursor ?? { executionId, seq: 0 }, PAGE),
    onWake: (wake) => wakeUps.onOutput(executionId, wake),
  };
  return sharedOutput.follow(source, { executionId, seq: after }, tokenEnd);
}

/**
 * The live output of a user. It never ends by itself, because it continues with the user's next session.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function followSessionOutput(
  { database, sharedOutput, sessions }: FollowDeps & Pick<ServiceDeps, 'sessions'>,
  { tenant, tokenEnd }: Principal,
  userUuid: string,
  after: string | null,
): Promise<AsyncIterableIterator<OutputItem>> {
  const { queries, wakeUps } = database;
  const cursor =
    after === null
      ? await queries.userOutputEnd(tenant, userUuid)
      : await checkedCursor(database, tenant, userUuid, after);
  const source: OutputSource = {
    key: userKey(tenant, userUuid),
    read: (last) => queries.userOutputs(tenant, userUuid, last, PAGE),
    onWake: (wake) =>
      onUserOutput(wakeUps, sessions.get(tenant, userUuid), { tenant, userUuid, wake }),
  };
  return sharedOutput.follow(source, cursor, tokenEnd);
}

/** How many followers this gateway has for the execution's output, or for the output of its user. */
export function countFollowers(
  { followers }: SharedOutput,
  { id, tenant, userUuid }: Pick<Execution, 'id' | 'tenant' | 'userUuid'>,
): number {
  return followers(executionKey(id)) + followers(userKey(tenant, userUuid));
}

function executionKey(id: ExecutionId): string {
  return `execution ${id}`;
}

/** Registers for wake-ups of the user's current session, and of each later one. */
function onUserOutput(
  wakeUps: WakeUps,
  session: Session | null,
  { tenant, userUuid, wake }: { tenant: string; userUuid: string; wake: () => void },
): () => void {
  let offSession = session === null ? () => {} : wakeUps.onSessionOutput(session.id, wake);
  const offEvents = wakeUps.onEvent(({ event }) => {
    if (event.type !== 'SessionOpened') return;
    if (event.data.tenant !== tenant || event.data.userUuid !== userUuid) return;
    offSession();
    offSession = wakeUps.onSessionOutput(event.data.sessionId, wake);
    wake();
  });
  return () => {
    offEvents();
    offSession();
  };
}

async function checkedCursor(
  { queries }: Database,
  tenant: string,
  userUuid: string,
  after: string,
): Promise<OutputCursor> {
  const [id, digits, ...rest] = after.split(':');
  const executionId = parseId<ExecutionId>(id ?? '');
  if (executionId === null || !/^\d{1,9}$/.test(digits ?? '') || rest.length > 0) {
    throw new DomainError(
      'BAD_USER_INPUT',
      'after must be "executionId:seq", with the values of the last event received.',
      {
        field: 'after',
      },
    );
  }
  const execution = await queries.execution(executionId);
  if (execution?.tenant !== tenant || execution.userUuid !== userUuid) {
    throw new DomainError('NOT_FOUND', `This user has no execution ${executionId}.`, {
      field: 'after',
    });
  }
  return { executionId, seq: Number(digits) };
}

/**
 * An execution's outputs after `after`: first those that are stored, then live ones, up to the finish. The consumer
 * pulls them, so nothing is buffered for a consumer that does not read. `return()` resolves immediately, even while
 * `next()` waits.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followExecution(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  executionId: string,
  after: number,
): Promise<AsyncIterableIterator<OutputItem>> {
  validateOutputRange({ after });
  const { id } = await requireExecution(deps, principal, executionId);
  return followOutput(deps, id, after, principal.tokenEnd);
}

/**
 * The outputs of all executions of a user, in any session. Starts after `executionId:seq`, or with new
 * outputs if `after` is null. Never ends by itself.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followSession(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'sharedOutput'>,
  principal: Principal,
  userUuid: string,
  after: string | null,
): Promise<AsyncIterableIterator<OutputItem>> {
  return await followSessionOutput(deps, principal, validateUserUuid(userUuid), after);
}
