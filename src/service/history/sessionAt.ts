import type { Execution } from '../../domain/execution.ts';
import type { Session } from '../../domain/session.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/** A user's session at an earlier time. */
export interface SessionAt {
  readonly at: Date;
  readonly session: Session;
  /** The executions that were unfinished at that time, in their current state. */
  readonly unfinished: readonly Execution[];
}

/** The session that the user had open at that time, from its events. Null if there was none, or if it was pruned. */
export async function sessionAt(
  { database: { queries } }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
  at: Date,
): Promise<SessionAt | null> {
  const session = await queries.sessionAt(tenant, validateUserUuid(userUuid), at);
  if (!session) return null;
  return { at, session, unfinished: await queries.unfinishedAt(session.id, at) };
}
