import type { Context } from '../../domain/context.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { KernelActivity } from '../../events/queries/sessionQueries.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ContextView, defaultView, viewOf } from './contextView.ts';

/** An open context, its owner, and its activity. */
export interface KernelView {
  readonly context: ContextView;
  readonly tenant: string;
  readonly userUuid: string;
  /** The name of the environment of its session. Null: none. */
  readonly environment: string | null;
  /** When an execution last ended in its session. If none has since the context was created: when it was created. */
  readonly lastActivityAt: Date;
  /** Its executions that have not ended, in the order of acceptance. */
  readonly unfinished: readonly ExecutionId[];
}

/** @param context null: the default one */
export interface OpenKernel {
  readonly session: Session;
  readonly context: Context | null;
}

/** The views of open contexts, in their order. */
export async function kernelViews(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  kernels: readonly OpenKernel[],
): Promise<KernelView[]> {
  if (kernels.length === 0) return [];
  const sessionIds = [...new Set(kernels.map(({ session }) => session.id))];
  const activities = await queries.kernelActivity(sessionIds);
  const bySession = new Map(activities.map((activity) => [activity.sessionId, activity]));
  return kernels.map(({ session, context }) => {
    const view = context === null ? defaultView(session) : viewOf(context);
    const { tenant, userUuid, environment } = session;
    return {
      context: view,
      tenant,
      userUuid,
      environment,
      ...activityOf(view, bySession.get(session.id)),
    };
  });
}

function activityOf(
  { id, createdAt }: ContextView,
  activity: KernelActivity | undefined,
): Pick<KernelView, 'lastActivityAt' | 'unfinished'> {
  const { lastFinishedAt = null, unfinished = [] } = activity ?? {};
  const isLater = lastFinishedAt !== null && lastFinishedAt > createdAt;
  return {
    lastActivityAt: isLater ? lastFinishedAt : createdAt,
    unfinished: unfinished.filter(({ contextId }) => contextId === id).map((each) => each.id),
  };
}
