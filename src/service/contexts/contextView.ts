import type { Context, ContextEndReason, ContextStatus } from '../../domain/context.ts';
import type { ContextId, SessionId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import { WORKER_HOME } from '../../domain/worker.ts';

/** A context as callers see it: the default one, which has no stream of its own, looks like the others. */
export interface ContextView {
  /** That of the default context is the id of its session. */
  readonly id: ContextId | SessionId;
  readonly sessionId: SessionId;
  readonly name: string | null;
  readonly isDefault: boolean;
  /** Absolute. */
  readonly workingDirectory: string;
  readonly status: ContextStatus;
  readonly createdAt: Date;
  readonly kernelRestarts: number;
  readonly endedAt: Date | null;
  readonly endReason: ContextEndReason | null;
}

export function viewOf(context: Context): ContextView {
  return {
    id: context.id,
    sessionId: context.sessionId,
    name: context.name,
    isDefault: false,
    workingDirectory: context.workingDirectory ?? WORKER_HOME,
    status: context.status,
    createdAt: context.createdAt,
    kernelRestarts: context.kernelRestarts,
    endedAt: context.endedAt,
    endReason: context.endReason,
  };
}

/**
 * The views of the open contexts of a session, the default one first.
 * @param others the contexts beside the default one
 */
export function viewsOf(session: Session, others: readonly Context[]): ContextView[] {
  return [defaultView(session), ...others.map(viewOf)];
}

/** The default context of a session lives as long as the session. */
export function defaultView(session: Session): ContextView {
  return {
    id: session.id,
    sessionId: session.id,
    name: null,
    isDefault: true,
    workingDirectory: WORKER_HOME,
    status: session.closedAt === null ? 'READY' : 'ENDED',
    createdAt: session.openedAt,
    kernelRestarts: session.kernelRestarts,
    endedAt: session.closedAt,
    endReason: session.closeReason,
  };
}
