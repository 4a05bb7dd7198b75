/** Live output: what is stored after a point, then what comes, pulled page by page. */
import { DomainError } from '../errors.ts';
import type { Database } from '../events/database.ts';
import type { OutputItem } from '../events/eventStore.ts';
import type { OutputBounds, OutputCursor } from '../events/queries/queries.ts';
import type { Session } from '../events/states.ts';
import type { WakeUps } from '../events/wakeUps.ts';
import { type ExecutionId, parseId } from '../ids.ts';
import type { OpenSessions } from './openSessions.ts';
import { pullIterator } from './pullIterator.ts';

/** What one follower holds in memory at most (and one item, if that alone is larger). */
const PAGE: OutputBounds = { limit: 500, maxBytes: 1024 * 1024 };

/** Ends with the execution's finish; at or beyond it, at once. */
export function followOutput(
  { queries, wakeUps }: Database,
  executionId: ExecutionId,
  after: number,
): AsyncIterableIterator<OutputItem> {
  let seq = after;
  return pullIterator({
    read: async () => {
      const items = await queries.outputs(executionId, seq, PAGE);
      const last = items.at(-1);
      if (last === undefined) {
        const end = await queries.outputEnd(executionId);
        return { items, isEnd: end.isFinished && end.lastSeq <= seq };
      }
      seq = last.seq;
      return { items, isEnd: last.output.kind === 'finish' };
    },
    onWake: (wake) => wakeUps.onOutput(executionId, wake),
  });
}

export interface FollowSessionDeps {
  readonly database: Database;
  readonly sessions: OpenSessions;
}

/** Never ends by itself: a user's next session goes on where the last ended. @throws BAD_USER_INPUT, NOT_FOUND */
export async function followSessionOutput(
  { database, sessions }: FollowSessionDeps,
  tenant: string,
  userUuid: string,
  after: string | null,
): Promise<AsyncIterableIterator<OutputItem>> {
  const { queries } = database;
  let cursor: OutputCursor | null =
    after === null
      ? await queries.userOutputEnd(tenant, userUuid)
      : await checkedCursor(database, tenant, userUuid, after);
  return pullIterator({
    read: async () => {
      const items = await queries.userOutputs(tenant, userUuid, cursor, PAGE);
      const last = items.at(-1);
      if (last) cursor = { executionId: last.executionId, seq: last.seq };
      return { items, isEnd: false };
    },
    onWake: (wake) =>
      onUserOutput(database.wakeUps, sessions.get(tenant, userUuid), { tenant, userUuid, wake }),
  });
}

/** Follows the user from session to session. */
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
      'after must be "executionId:seq", as the last event had them.',
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
