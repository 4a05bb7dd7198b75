import type { EnvironmentId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import { logOf } from '../../environments/buildLog.ts';
import { validateOutputRange } from '../answer/outputRange.ts';
import { followOutput } from '../output/followOutput.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireVersion } from './environments.ts';

/**
 * The output of the build of a version after `after`: first the stored output, then live output up to the end of the
 * build. The items then end. The last one is the reason why it failed, or the finish if the version is ready.
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
  return await upToTheEnd(deps, id, items);
}

/**
 * The items up to the finish. It is left out unless the version is ready. If a version is removed while it is built, no
 * finish comes. So its removal ends the items, too.
 */
async function upToTheEnd(
  { database: { wakeUps, queries } }: Pick<ServiceDeps, 'database'>,
  id: EnvironmentId,
  items: AsyncIterableIterator<OutputItem>,
): Promise<AsyncIterableIterator<OutputItem>> {
  let failure: { readonly error: unknown } | null = null;
  let isOver = false;
  const off = wakeUps.onEvent(({ event, streamId }) => {
    if (event.type === 'EnvironmentRemoved' && streamId === id) void endIfBroken();
  });
  /** If the build has ended, its log has a finish. The items then go on up to that, even after the removal. */
  async function endIfBroken(): Promise<void> {
    try {
      const version = await queries.environmentVersion(id);
      const isBroken = version === null || (version.state === 'BUILDING' && version.removedAt);
      if (!isBroken) return;
    } catch (error: unknown) {
      failure = { error };
    }
    await close();
  }
  async function close(): Promise<IteratorReturnResult<undefined>> {
    off();
    await items.return?.();
    return { done: true, value: undefined };
  }
  // The version may have been removed before anybody listened.
  await endIfBroken();
  const followed: AsyncIterableIterator<OutputItem> = {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => {
      try {
        const next = isOver ? null : await items.next();
        if (next && !next.done) {
          isOver = next.value.output.kind === 'finish';
          if (!isOver || (await queries.environmentVersion(id))?.state === 'READY') return next;
        }
      } catch (error: unknown) {
        failure ??= { error };
      }
      const end = await close();
      if (failure !== null) throw failure.error;
      return end;
    },
    return: close,
  };
  return followed;
}
