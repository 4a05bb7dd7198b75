/** Live output: first the stored outputs after a cursor, then new ones, pulled page by page. */
import { DomainError } from '../../domain/errors.ts';
import type { Execution } from '../../domain/execution.ts';
import { type ExecutionId, parseId } from '../../domain/ids.ts';
import type { OutputBounds, OutputCursor, OutputItem } from '../../domain/output.ts';
import { type Session, userKey } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import type { WakeUps } from '../../events/wakeUps/wakeUps.ts';
import type { TokenEnd } from '../access/tokenEnd.ts';
import type { OpenSessions } from '../openSessions.ts';
import type { Principal } from '../principal.ts';
import type { OutputSource, SharedOutput } from './sharedOutput.ts';

/** The limits of a page. A follower holds one page in memory, which is larger only if its single item is larger. */
export const PAGE: OutputBounds = { limit: 500, maxBytes: 1024 * 1024 };

export interface FollowDeps {
  readonly database: Database;
  readonly sharedOutput: SharedOutput;
}

/** Ends with the execution's finish. If `after` is at the finish or beyond it, nothing comes before the end. */
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

export interface FollowSessionDeps extends FollowDeps {
  readonly sessions: OpenSessions;
}

/** Never ends by itself: it continues with the user's next session. @throws BAD_USER_INPUT, NOT_FOUND */
export async function followSessionOutput(
  { database, sharedOutput, sessions }: FollowSessionDeps,
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
