import type { EnvironmentId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import { logOf } from '../../environments/buildLog.ts';
import { validateOutputRange } from '../answer/outputRange.ts';
import { followOutput } from '../output/followOutput.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireVersion } from './environments.ts';

/**
 * What the build of a version has printed after `after`, and what it prints from now on, up to its end. That is told by
 * the end of the items: the finish is not among them.
 * @throws NOT_FOUND, BAD_USER_INPUT before the first item
 */
export async function followBuild(
  deps: Pick<ServiceDeps, 'database' | 'sharedOutput'>,
  principal: Principal,
  name: string,
  version: number | null,
  after: number,
): Promise<AsyncIterableIterator<OutputItem>> {
  validateOutputRange({ after });
  const { id } = await requireVersion(deps, principal, name, version);
  const items = followOutput(deps, logOf(id), after, principal.tokenEnd);
  return upToTheEnd(deps, id, items);
}

/**
 * Without the finish: there is no execution whose end it could tell. A version that is removed while it is built has none,
 * so its removal ends the items, too.
 */
function upToTheEnd(
  { database: { wakeUps, queries } }: Pick<ServiceDeps, 'database'>,
  id: EnvironmentId,
  items: AsyncIterableIterator<OutputItem>,
): AsyncIterableIterator<OutputItem> {
  const off = wakeUps.onEvent(({ event, streamId }) => {
    if (event.type === 'EnvironmentRemoved' && streamId === id) void closeIfBroken();
  });
  /** The log of one that is built has an end, to which it is read. */
  async function closeIfBroken(): Promise<void> {
    const removed = await queries.environmentVersion(id).catch(() => null);
    if (removed === null || removed.state === 'BUILDING') await close();
  }
  async function close(): Promise<IteratorReturnResult<undefined>> {
    off();
    await items.return?.();
    return { done: true, value: undefined };
  }
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      const next = await items.next();
      return next.done || next.value.output.kind === 'finish' ? await close() : next;
    },
    return: close,
  };
}
