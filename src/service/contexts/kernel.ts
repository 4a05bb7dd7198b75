import { type ContextId, parseId, type SessionId } from '../../domain/ids.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type KernelView, kernelViews, type OpenKernel } from './kernelView.ts';

/**
 * The open context with this id, of any user that the principal sees. Otherwise null, also if the id is malformed or
 * the context has ended.
 */
export async function kernel(
  deps: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  id: string,
): Promise<KernelView | null> {
  const found = await openKernel(deps, id);
  if (found === null || !sees(principal, found.session)) return null;
  const [view] = await kernelViews(deps, [found]);
  return view ?? null;
}

/** The open context with this id. A default context has the id of its session. */
async function openKernel(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  given: string,
): Promise<OpenKernel | null> {
  const id = parseId<ContextId>(given);
  if (id === null) return null;
  const [context] = await queries.contexts([id]);
  const session = await queries.session(context?.sessionId ?? (given as SessionId));
  if (session === null || session.closedAt !== null) return null;
  if (context && (context.endedAt !== null || context.status === 'ENDING')) return null;
  return { session, context: context ?? null };
}
